"""A dead replica comes back empty: a balancer that returns clients to it loses their sessions a second time.

harness run scenarios/comeback.py
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Kill,
    Restart,
    Scenario,
    Sessions,
    clean_control,
    loses_the_at_risk,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""


SCENARIO = Scenario(
    designs=[
        Design("by_cookie", BuiltIn(state="memory"), Balancing("cookie"), at_risk="victim"),
        Design("by_hash", BuiltIn(state="memory"), Balancing("hash_header", key="X-User"), at_risk="victim"),
    ],
    replicas=3,
    load=Sessions(concurrent=150, duration="10s", warmup="1s"),
    faults=[At("3s", Kill(replica=1)), At("6s", Restart(replica=1))],
    expect=[loses_the_at_risk("by_cookie", "by_hash", judged=100), clean_control("by_cookie", "by_hash")],
)
