"""Claims about what travels with a request: C02, C16."""

import re

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured
from harness.results.summary import ArmFigures

PAYLOAD, CONTENT = RequiredRun("payload"), RequiredRun("content")


def _bytes(arm: ArmFigures, items: int, whose: str) -> float:
    """Mean bytes of a request for a cart of so many items."""
    look = arm.names.get(f"look at {items}")
    return require_measured(look.request_bytes if look else None, f"the bytes of {whose} at {items} items")


def _bites_at(arm: ArmFigures) -> int | None:
    """The smallest cart that was shown with something missing; None where there was none."""
    sizes = [
        int(found[1])
        for name, one in arm.names.items()
        if one.anomalies and (found := re.fullmatch(r"look at (\d+)", name))
    ]
    return min(sizes, default=None)


def _carries_all(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("payload", name, "control") for name in ("jwt", "signed", "cookie", "jwt_nginx")}
    sizes = {"jwt": (1, 10, 50, 100), "signed": (1, 100), "cookie": (1, 100)}
    points = [
        ClaimPoint(f"{name}, {items} items", _bytes(arms[name], items, name)) for name in sizes for items in sizes[name]
    ]
    of = {point.label: point.value for point in points}
    growth = {name: of[f"{name}, 100 items"] / of[f"{name}, 1 items"] for name in sizes}
    bite, writes, nginx = _bites_at(arms["jwt"]), arms["jwt"].writes, arms["jwt_nginx"].requests
    if bite is None:
        raise UnsettledError("no cart outgrew its cookie; a longer run would fill them")
    says = (
        f"from 1 to 100 items a request grew {growth['jwt']:.1f} times with a JWT, {growth['signed']:.1f} times with a "
        f"compressed signed cookie and {growth['cookie']:.2f} times with a session cookie. At {bite} items the JWT was "
        f"beyond 4096 bytes: browsers drop it in silence, which lost {writes.lost:,} of {writes.acknowledged:,} "
        f"acknowledged writes; behind nginx {nginx.attempted - nginx.ok:,} of {nginx.attempted:,} requests failed"
    )
    return ClaimFinding.of(growth["jwt"] > 2 and growth["cookie"] < 1.1, says, "bytes a request", points)


def _any_replica(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("content", "content", name) for name in ("control", "fault")}
    hits, again, fresh = _lookups(arms["control"])
    lookups = hits + again + fresh
    points = [
        ClaimPoint.share("from the cache", hits, lookups),
        ClaimPoint.share("304, still good", again, lookups),
        ClaimPoint.share("sent", fresh, lookups),
    ]
    sessions, spread = arms["control"].sessions, arms["control"].spread
    wrong = sum(arm.sessions.wrong for arm in arms.values())
    judged = sum(arm.sessions.judged for arm in arms.values())
    share = 100 * require_measured(spread.cv, "the spread")
    says = (
        f"{hits:,} of {lookups:,} lookups came from the client's cache and {again:,} were answered 304; {wrong} of "
        f"{judged} sessions, with a dead replica and without, were shown content that was wrong; {sessions.moved} of "
        f"{sessions.judged} were served by several replicas, whose shares differ by {share:.1f} %"
    )
    return ClaimFinding.of(wrong == 0 and hits > 0 and sessions.moved > 0, says, "% of lookups", points)


def _lookups(arm: ArmFigures) -> tuple[int, int, int]:
    """Those from the cache (counted by the client), those that it only had confirmed, and those that were sent."""
    hits = again = fresh = 0
    for name, one in arm.names.items():
        if found := re.fullmatch(r"asked after (\d+) hits", name):
            hits += int(found[1]) * one.requests
            again += one.statuses.get("304", 0)
            fresh += one.statuses.get("200", 0)
    return hits, again, fresh


CLAIMS = (
    Claim(
        "C02", "each stateless request carries all it needs: larger payloads", "1, 11",
        "a cart filled from 1 to 200 items: in a JWT, in a signed cookie, and on the server behind a session cookie",
        "bytes a request grow with the state for the token and stay flat for the cookie; the 4 KB limit is met",
        (PAYLOAD,), _carries_all,
    ),
    Claim(
        "C16", "a public weather API, an image CDN, a DNS-like lookup: stateless", "6",
        "immutable objects and forecasts with ETag and max-age, clients with a cache, a replica killed",
        "any replica answers right in any order, and the client's cache answers a share itself",
        (CONTENT,), _any_replica,
    ),
)  # fmt: skip
