"""Two faults in sequence: the sessions that moved away from one dead replica are on the next one when it dies.

harness run scenarios/double_fault.py
"""

from locust import between

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
    keeps,
    loses_the_at_risk,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)


DESIGNS = (
    Design("stateless", BuiltIn(state="token"), Balancing("round_robin"), at_risk="none"),
    Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="none"),
    Design("sticky", BuiltIn(state="memory"), Balancing("cookie"), at_risk="victim"),
)
EXPECT = (
    keeps("stateless", "hybrid"),
    loses_the_at_risk("sticky", judged=100),
    clean_control("stateless", "hybrid", "sticky"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="14s", warmup="1s"),
    faults=[At("3s", Kill(1)), At("5s", Restart(1)), At("8s", Kill(2)), At("10s", Restart(2))],
    expect=EXPECT,
)
