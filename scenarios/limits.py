"""Where do the usual rules stop? Round-robin over memory with one replica, and tokens where the clocks differ.

harness run scenarios/limits.py

No fault is injected: what breaks here breaks by itself. The clock of each replica is 1.5 s ahead of the one before, and
a token lasts for 2 s after its last write, so that the third replica takes a token of the first for expired.
"""

from locust import between

from harness import Balancing, BuiltIn, Design, Scenario, Sessions, clean_control, finds
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.15)


EVEN = Balancing("round_robin")

DESIGNS = (
    Design("alone", BuiltIn(state="memory"), EVEN, replicas=1),
    Design("in_step", BuiltIn(state="token", options={"ttl": "2s"}), EVEN, at_risk="none"),
    Design("skewed", BuiltIn(state="token", options={"ttl": "2s", "skew": "1.5s"}), EVEN),
)
EXPECT = (clean_control("alone", "in_step"), finds("skewed", among=("lost", "rolled_back", "forced_login")))

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=60, duration="10s", warmup="500ms"),
    expect=EXPECT,
    quick="4s",
)
