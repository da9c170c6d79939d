"""Claims about logins: C11, C17."""

import re

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured
from harness.results.summary import ArmFigures, EndpointStats

LOGIN = RequiredRun("login")
_KINDS = ("jwt", "opaque", "session")
_COPY = re.compile(r"copy after ([\d.]+) s")


def _requests_with_copies(arm: ArmFigures) -> dict[float, EndpointStats]:
    """The requests with a copied credential, by the seconds since its owner logged out.

    Raises:
        UnsettledError: there were none.
    """
    by_delay = {float(match[1]): stats for name, stats in arm.names.items() if (match := _COPY.fullmatch(name))}
    if not by_delay:
        raise UnsettledError("no copy of a revoked login was used; make a longer run")
    return by_delay


def _judge_credentials(runs: Runs) -> ClaimFinding:
    arms = {kind: runs.arm("login", kind, "control") for kind in _KINDS}
    lifetimes = {kind: _measure_lifetime(arm) for kind, arm in arms.items()}
    overlap, abrupt = runs.arm("login", "jwt").sessions, runs.arm("login", "jwt_abrupt").sessions
    says = (
        f"a revoked JWT still worked {lifetimes['jwt']:g} s after the logout (until it expired), an opaque token "
        f"{lifetimes['opaque']:g} s, a session cookie {lifetimes['session']:g} s. A request costs: "
        f"{'; '.join(_describe_cost(arm, kind) for kind, arm in arms.items())}. A new key sent {overlap.forced_login} "
        f"of {overlap.judged} sessions to the login with an overlap, {abrupt.forced_login} of {abrupt.judged} without"
    )
    only_jwt_lives = lifetimes["jwt"] > 0 == lifetimes["opaque"] == lifetimes["session"]
    only_abrupt_forces = overlap.forced_login == 0 < abrupt.forced_login
    points = [ClaimPoint(kind, lifetime) for kind, lifetime in lifetimes.items()]
    return ClaimFinding.supported_if(
        only_jwt_lives and only_abrupt_forces, says, "s that a revoked login still works", points
    )


def _measure_lifetime(arm: ArmFigures) -> float:
    """How many seconds after the logout a copy still worked; 0 if it never did."""
    copies = _requests_with_copies(arm)
    return max((delay_s for delay_s, stats in copies.items() if stats.statuses.get("200")), default=0.0)


def _describe_cost(arm: ArmFigures, kind: str) -> str:
    me = arm.names.get("GET /me")
    sent = require_measured(me.request_bytes if me else None, f"the bytes of a check by {kind}")
    cpu = require_measured(arm.resources.cpu_ms_per_request, f"the CPU of a check by {kind}")
    return f"{kind} {cpu:.2f} ms of CPU and {sent:.0f} bytes"


def _judge_revocation(runs: Runs) -> ClaimFinding:
    refusals = {kind: _count_refusals(runs.arm("login", kind, "control")) for kind in _KINDS}
    points = [ClaimPoint.share(kind, *counts) for kind, counts in refusals.items()]
    rows = "; ".join(f"{kind} {refused} of {sent}" for kind, (refused, sent) in refusals.items())
    says = f"requests with a copy of a login that were refused right after its logout: {rows}"
    jwt, opaque, session = (point.value for point in points)
    return ClaimFinding.supported_if(jwt == 0 and opaque == session == 100, says, "% refused at once", points)


def _count_refusals(arm: ArmFigures) -> tuple[int, int]:
    """Of the copies' requests right after the logout, how many were refused, and how many were sent."""
    first = _requests_with_copies(arm).get(0.0)
    if first is None:
        return 0, 0
    return first.statuses.get("401", 0), first.requests


CLAIMS = (
    Claim(
        "C11", "JWT compared with session cookies and server-side tokens, OAuth2", "5, 10",
        "logins by a JWT, an opaque token with introspection and a session cookie; logouts; a new key with and without "
        "an overlap",
        "a JWT still works after its logout and the others do not; only a rotation without overlap forces logins",
        (LOGIN,), _judge_credentials,
    ),
    Claim(
        "C17", "a user login session is stateful", "6",
        "logins that are revoked while another client holds a copy of the credential",
        "only where the server keeps the login is the copy refused at once",
        (LOGIN,), _judge_revocation,
    ),
)  # fmt: skip
