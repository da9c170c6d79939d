"""A replica that clients cannot reach, then one that cannot reach the store: what arrives late, and does it do harm?

harness run scenarios/partition.py
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Heal,
    Partition,
    Scenario,
    Sessions,
    clean_control,
    finds,
    keeps,
    loses_only_the_at_risk,
    recovers,
)
from harness.recipes import Shopper


class Impatient(Shopper):
    """Fills a cart and looks at it; gives up on a reply after half a second, and tries again."""

    timeout = 0.5


# Requests in flight when a partition begins arrive when it ends, long after their senders gave up. Where the last write
# wins they may undo later writes; a store that compares versions refuses them. A balancer that checks only whether a
# replica answers keeps sending requests to one that has lost its store.
FRONT, BACK = Partition("balancer-r1"), Partition("r1-store")
DESIGNS = (
    Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="none"),
    Design(
        "versioned",
        BuiltIn(state="redis", options={"versioned": "yes"}),
        Balancing("round_robin"),
        at_risk="none",
    ),
    Design("sticky", BuiltIn(state="memory"), Balancing("cookie")),
)
EXPECT = (
    keeps("versioned"),
    finds("hybrid", among=("kept", "lost_writes", "rolled_back")),
    loses_only_the_at_risk("sticky", judged=80),
    recovers("hybrid", "versioned", "sticky"),
    clean_control("hybrid", "versioned", "sticky"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=100, duration="18s", warmup="1s"),
    faults=[At("3s", FRONT), At("6s", Heal(FRONT)), At("10s", BACK), At("13s", Heal(BACK))],
    expect=EXPECT,
    quick="9s",
)
