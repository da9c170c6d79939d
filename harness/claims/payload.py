"""Claims about what a request carries: C02, C16."""

import re

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured
from harness.results.summary import ArmFigures

PAYLOAD, CONTENT = RequiredRun("payload", timeout_s=400), RequiredRun("content")
_LOOK = re.compile(r"look at (\d+)")
_LOOKUP = re.compile(r"asked after (\d+) hits")
#: The sizes of the cart that are compared, by design.
_CART_SIZES = {"jwt": (1, 10, 50, 100), "signed": (1, 100), "cookie": (1, 100)}


def _judge_payloads(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("payload", name, "control") for name in ("jwt", "signed", "cookie", "jwt_nginx")}
    sizes = {
        name: {items: _request_bytes(arms[name], items, name) for items in _CART_SIZES[name]} for name in _CART_SIZES
    }
    growth = {name: by_items[100] / by_items[1] for name, by_items in sizes.items()}
    limit, writes, nginx = _find_smallest_cut_cart(arms["jwt"]), arms["jwt"].writes, arms["jwt_nginx"].requests
    says = (
        f"from 1 to 100 items a request grew {growth['jwt']:.1f} times with a JWT, {growth['signed']:.1f} times with a "
        f"compressed signed cookie and {growth['cookie']:.2f} times with a session cookie. At {limit} items the JWT "
        f"exceeded 4096 bytes: browsers drop it silently, which lost {writes.lost:,} of {writes.acknowledged:,} "
        f"acknowledged writes; behind nginx {nginx.attempted - nginx.ok:,} of {nginx.attempted:,} requests failed"
    )
    points = [
        ClaimPoint(f"{name}, {items} items", mean)
        for name, by_items in sizes.items()
        for items, mean in by_items.items()
    ]
    return ClaimFinding.supported_if(growth["jwt"] > 2 and growth["cookie"] < 1.1, says, "bytes per request", points)


def _request_bytes(arm: ArmFigures, items: int, design: str) -> float:
    """The mean size in bytes of a request for a cart with this many items."""
    look = arm.names.get(f"look at {items}")
    return require_measured(look.request_bytes if look else None, f"the bytes of {design} at {items} items")


def _find_smallest_cut_cart(arm: ArmFigures) -> int:
    """The number of items in the smallest cart of which a reply lacked some.

    Raises:
        UnsettledError: every cart was complete.
    """
    looks = ((_LOOK.fullmatch(name), stats) for name, stats in arm.names.items())
    sizes = [int(match[1]) for match, stats in looks if match and stats.anomalies]
    if not sizes:
        raise UnsettledError("no cart outgrew its cookie; make a longer run")
    return min(sizes)


def _judge_cacheable_content(runs: Runs) -> ClaimFinding:
    control, fault = (runs.arm("content", "content", name) for name in ("control", "fault"))
    hits, confirmed, fresh = _count_lookups(control)
    lookups = hits + confirmed + fresh
    points = [
        ClaimPoint.share("from the cache", hits, lookups),
        ClaimPoint.share("304, not modified", confirmed, lookups),
        ClaimPoint.share("sent", fresh, lookups),
    ]
    wrong = control.sessions.wrong + fault.sessions.wrong
    judged = control.sessions.judged + fault.sessions.judged
    variation = 100 * require_measured(control.spread.cv, "the spread")
    says = (
        f"{hits:,} of {lookups:,} lookups came from the client's cache and {confirmed:,} were answered 304; {wrong} of "
        f"{judged} sessions, with a dead replica and without, were shown wrong content; {control.sessions.moved} of "
        f"{control.sessions.judged} were served by several replicas, whose shares differ by {variation:.1f} %"
    )
    holds = wrong == 0 and hits > 0 and control.sessions.moved > 0
    return ClaimFinding.supported_if(holds, says, "% of lookups", points)


def _count_lookups(arm: ArmFigures) -> tuple[int, int, int]:
    """Lookups from the cache (counted by the client), those confirmed by a 304, and those answered with the content."""
    hits = confirmed = fresh = 0
    for name, stats in arm.names.items():
        if match := _LOOKUP.fullmatch(name):
            hits += int(match[1]) * stats.requests
            confirmed += stats.statuses.get("304", 0)
            fresh += stats.statuses.get("200", 0)
    return hits, confirmed, fresh


CLAIMS = (
    Claim(
        "C02", "each stateless request carries all it needs: larger payloads", "1, 11",
        "a cart filled from 1 to 200 items: in a JWT, in a signed cookie, and on the server behind a session cookie",
        "the bytes per request grow with the state for the token and stay constant for the cookie; the token reaches "
        "the limit of 4 KB",
        (PAYLOAD,), _judge_payloads,
    ),
    Claim(
        "C16", "a public weather API, an image CDN, a DNS-like lookup: stateless", "6",
        "immutable objects and forecasts with ETag and max-age, clients with a cache, a replica killed",
        "every replica answers correctly in any order, and the client's cache answers a share itself",
        (CONTENT,), _judge_cacheable_content,
    ),
)  # fmt: skip
