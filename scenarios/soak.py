"""Many random faults, one after another, under one load: does anything turn up that no single fault shows?

harness run scenarios/soak.py --seed 7
"""

from locust import between

from harness import (
    Balancing,
    BuiltIn,
    Design,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    loses_only_the_at_risk,
    random_faults,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it; gives up on a reply after half a second, and tries again."""

    wait_time = between(0.1, 0.3)
    timeout = 0.5


# The store compares versions: a replica that wakes up late must not undo later writes (gray_failure.py).
DESIGNS = (
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
    loses_only_the_at_risk("sticky", judged=80),
    clean_control("versioned", "sticky"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=100, duration="120s", warmup="2s"),
    faults=random_faults(seed=1, begin="4s", end="112s", replicas=3, every="5s", lasting="2s"),
    expect=EXPECT,
    quick=Scenario(
        designs=DESIGNS,
        replicas=3,
        load=Sessions(concurrent=80, duration="10s", warmup="500ms"),
        faults=random_faults(seed=1, begin="1s", end="9s", replicas=3, every="2s", lasting="1s"),
        expect=EXPECT,
    ),
)
