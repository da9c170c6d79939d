"""A replica that neither works nor dies: how long does the balancer take to notice, while its clients wait in vain?

harness run scenarios/gray_failure.py
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Pause,
    Resume,
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


# Cookie affinity harms a third of the clients all the time; round robin harms all of them a third of the time. Clients
# of the stopped replica that return once it counts as down go to another replica, and lose what it holds in memory.
# A replica that wakes up first handles the requests from before it stopped: where the last write wins, these late
# writes may undo later ones. A store that compares versions refuses them.
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
    loses_only_the_at_risk("sticky", judged=100),
    recovers("hybrid", "versioned", "sticky"),
    clean_control("hybrid", "versioned", "sticky"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="14s", warmup="1s"),
    faults=[At("4s", Pause(replica=1)), At("8s", Resume(replica=1))],
    expect=EXPECT,
    quick="9s",
)
