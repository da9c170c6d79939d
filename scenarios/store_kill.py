"""What does a dead store do to the sessions? It holds those of all users; designs without it are not affected.

harness run scenarios/store_kill.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Heal,
    KillStore,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    loses_the_at_risk,
    recovers,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)


# Every session that has written before the fault is at risk. A design without a store runs only its control arm.
DESIGNS = (
    Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="victim"),
    Design("stateless", BuiltIn(state="token"), Balancing("round_robin"), at_risk="none"),
)
EXPECT = (
    loses_the_at_risk("hybrid", judged=100),
    recovers("hybrid"),
    keeps("stateless"),
    clean_control("hybrid", "stateless"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="12s", warmup="1s"),
    faults=[At("4s", KillStore()), At("6s", Heal(KillStore()))],
    expect=EXPECT,
)
