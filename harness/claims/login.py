"""Claims about logins: C11, C17."""

import re

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured
from harness.results.summary import ArmFigures, EndpointStats

LOGIN = RequiredRun("login")
_KINDS = ("jwt", "opaque", "session")
_COPY = re.compile(r"copy after ([\d.]+) s")


def _copies(arm: ArmFigures) -> dict[float, EndpointStats]:
    """Requests by a copied credential, by the seconds since its owner had logged out."""
    found = {float(match[1]): one for name, one in arm.names.items() if (match := _COPY.fullmatch(name))}
    if not found:
        raise UnsettledError("nobody tried a copy of a revoked login; a longer run would have it tried")
    return found


def _lives_on(arm: ArmFigures) -> float:
    """How many seconds after the logout a copy still worked; 0 where it never did."""
    return max((since for since, one in _copies(arm).items() if one.statuses.get("200")), default=0.0)


def _refused(arm: ArmFigures) -> tuple[int, int]:
    """Of the copies' requests at once after the logout: those refused, and all."""
    first = _copies(arm).get(0.0)
    return (first.statuses.get("401", 0), first.requests) if first else (0, 0)


def _check(arm: ArmFigures, kind: str) -> str:
    me = arm.names.get("GET /me")
    sent = require_measured(me.request_bytes if me else None, f"the bytes of a check by {kind}")
    cpu = require_measured(arm.resources.cpu_ms_per_request, f"the CPU of a check by {kind}")
    return f"{kind} {cpu:.2f} ms of CPU and {sent:.0f} bytes"


def _compared(runs: Runs) -> ClaimFinding:
    arms = {kind: runs.arm("login", kind, "control") for kind in _KINDS}
    points = [ClaimPoint(kind, _lives_on(arm)) for kind, arm in arms.items()]
    overlap, abrupt = runs.arm("login", "jwt").sessions, runs.arm("login", "jwt_abrupt").sessions
    lives = {point.label: point.value for point in points}
    says = (
        f"a revoked JWT still worked {lives['jwt']:g} s after the logout (until it expired), an opaque token "
        f"{lives['opaque']:g} s, a session cookie {lives['session']:g} s. A request costs: "
        f"{'; '.join(_check(arm, kind) for kind, arm in arms.items())}. A new key sent {overlap.forced_login} of "
        f"{overlap.judged} sessions to the login with an overlap, {abrupt.forced_login} of {abrupt.judged} without"
    )
    holds = lives["jwt"] > 0 == lives["opaque"] == lives["session"] and overlap.forced_login == 0 < abrupt.forced_login
    return ClaimFinding.of(holds, says, "s that a revoked login still works", points)


def _needs_state(runs: Runs) -> ClaimFinding:
    counts = {kind: _refused(runs.arm("login", kind, "control")) for kind in _KINDS}
    points = [ClaimPoint.share(kind, *counts[kind]) for kind in _KINDS]
    rows = "; ".join(f"{kind} {part} of {whole}" for kind, (part, whole) in counts.items())
    says = f"requests by a copy of a login that were refused at once after its logout: {rows}"
    of = {point.label: point.value for point in points}
    return ClaimFinding.of(of["jwt"] == 0 and of["opaque"] == of["session"] == 100, says, "% refused at once", points)


CLAIMS = (
    Claim(
        "C11", "JWT against session cookies and server-side tokens, OAuth2", "5, 10",
        "logins by a JWT, an opaque token with introspection and a session cookie; logouts; a new key with and without "
        "an overlap",
        "a JWT lives on after its logout and the others do not; only a rotation without overlap forces logins",
        (LOGIN,), _compared,
    ),
    Claim(
        "C17", "a user login session is stateful", "6",
        "logins that are revoked while somebody holds a copy of the credential",
        "only where the server keeps the login is the copy refused at once",
        (LOGIN,), _needs_state,
    ),
)  # fmt: skip
