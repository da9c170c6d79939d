"""What does each kind of login cost, how long does a revoked one still work, and whom does a new key send to the login?

harness run scenarios/login.py

A JWT is checked by its signature alone, an opaque token by asking an authorisation server (RFC 7662), a session cookie
by looking it up. Some users log out while someone else holds a copy of their credential. The key of the JWTs is
rotated: with an overlap, in which the old one is accepted still, and without.
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

#: Seconds that a login is good for, and those by which the copies' fate is counted.
TTL, STEP = 2.0, 0.25


class Member(SessionUser):
    """Logs in, and is known for as long as a login lasts; one who is sent to the login logs in again."""

    weight = 4
    wait_time = between(0.05, 0.15)
    model = stateless  # a login holds nothing that could be lost: whether one has to log in again is what counts

    def session(self, site: Client) -> SessionSteps:
        yield site.post("/login")
        ends = time.monotonic() + 0.6 * TTL
        while time.monotonic() < ends:
            reply = yield site.get("/me")
            if reply.status == 401:
                yield site.post("/login", name="POST /login again")


class Leaver(SessionUser):
    """Logs out, and then someone who has copied the credential finds out how long it still works."""

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
        """That the copy is refused is no harm to anybody who is logged in."""
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
)
