"""What does each kind of login cost, how long does a revoked one work, and who must log in again after a new key?

harness run scenarios/login.py

A JWT is checked by its signature alone, an opaque token by a request to an authorisation server (RFC 7662), a session
cookie by a lookup. Some users log out while someone else holds a copy of their credential. The key of the JWTs is
rotated with an overlap, in which the old key is still accepted, and without one.
"""

import time

from locust import between, constant

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Response,
    RotateKeys,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    finds,
)
from harness.oracle.models import stateless

#: How long a login is valid, and the step in which the lifetime of copies is counted, in seconds.
TTL, STEP = 2.0, 0.25


class Member(SessionUser):
    """Logs in, and stays logged in for as long as the login lasts; logs in again when sent to the login."""

    weight = 4
    wait_time = between(0.05, 0.15)
    model = stateless  # a login holds no state that could be lost: what counts is whether the user must log in again

    def session(self, site: Client) -> SessionSteps:
        yield site.post("/login")
        ends = time.monotonic() + 0.6 * TTL
        while time.monotonic() < ends:
            reply = yield site.get("/me")
            if reply.status == 401:
                yield site.post("/login", name="POST /login again")


class Leaver(SessionUser):
    """Logs out; then someone with a copy of the credential finds out how long it still works."""

    wait_time = constant(0.1)
    model = stateless
    copying = False

    def session(self, site: Client) -> SessionSteps:
        made = yield site.post("/login")
        if not made.ok:
            return
        copied = {"Authorization": f"Bearer {made.json()['access_token']}"}
        if not (yield site.post("/logout")).ok:
            return
        since, self.copying, works = time.monotonic(), True, True
        while works and time.monotonic() - since < 2 * TTL:
            steps = int((time.monotonic() - since) / STEP)
            works = (yield site.get("/me", headers=copied, name=f"copy after {steps * STEP:g} s")).ok
        self.copying = False

    def forced_login(self, reply: Response) -> bool:
        """Whether a login is forced. A refused copy is not: it harms no one who is logged in."""
        return not self.copying and super().forced_login(reply)


EVEN, OPTIONS = Balancing("round_robin"), {"ttl": f"{TTL}s"}
DESIGNS = (
    Design("jwt", BuiltIn("login", state="token", options=OPTIONS), EVEN),
    Design("jwt_abrupt", BuiltIn("login", state="token", options=OPTIONS), EVEN),
    Design("opaque", BuiltIn("login", state="redis", options={**OPTIONS, "scheme": "opaque"}), EVEN),
    Design("session", BuiltIn("login", state="redis", options={**OPTIONS, "scheme": "session"}), EVEN),
)
EXPECT = (
    finds("jwt", "opaque", "session", among=("kept",)),
    finds("jwt_abrupt", among=("forced_login",)),
    clean_control("jwt", "jwt_abrupt", "opaque", "session"),
)


def rotations(when: str) -> tuple[At, ...]:
    """The same rotation for two designs: with an overlap for one, without for the other."""
    return (At(when, RotateKeys(overlap=True), ("jwt",)), At(when, RotateKeys(overlap=False), ("jwt_abrupt",)))


SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=100, duration="12s", warmup="1s"),
    faults=rotations("6s"),
    expect=EXPECT,
    errors_at_most=0.3,  # a copy of the credential is refused once it is revoked
)
