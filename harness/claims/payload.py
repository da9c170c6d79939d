"""Claims about what travels with a request: C02, C16."""

import re

from harness.claims.claim import Claim, Finding, Need, Point, Runs, UnsettledError, told
from harness.summary import Arm

PAYLOAD = Need("payload")


def _bytes(arm: Arm, items: int, whose: str) -> float:
    """Mean bytes of a request for a cart of so many items."""
    look = arm.names.get(f"look at {items}")
    return told(look.request_bytes if look else None, f"the bytes of {whose} at {items} items")


def _bites_at(arm: Arm) -> int | None:
    """The smallest cart that was shown with something missing; None where there was none."""
    sizes = [
        int(found[1])
        for name, one in arm.names.items()
        if one.anomalies and (found := re.fullmatch(r"look at (\d+)", name))
    ]
    return min(sizes, default=None)


def _carries_all(runs: Runs) -> Finding:
    arms = {name: runs.arm("payload", name, "control") for name in ("jwt", "signed", "cookie", "jwt_nginx")}
    sizes = {"jwt": (1, 10, 50, 100), "signed": (1, 100), "cookie": (1, 100)}
    points = [
        Point(f"{name}, {items} items", _bytes(arms[name], items, name)) for name in sizes for items in sizes[name]
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
    return Finding.of(growth["jwt"] > 2 and growth["cookie"] < 1.1, says, "bytes a request", points)


CLAIMS = (
    Claim(
        "C02", "each stateless request carries all it needs: larger payloads", "1, 11",
        "a cart filled from 1 to 200 items: in a JWT, in a signed cookie, and on the server behind a session cookie",
        "bytes a request grow with the state for the token and stay flat for the cookie; the 4 KB limit is met",
        (PAYLOAD,), _carries_all,
    ),
)  # fmt: skip
