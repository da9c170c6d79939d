"""A replica that nobody reaches, then one that does not reach the store: what arrives late, and does it do harm?

harness run scenarios/partition.py
"""

from collections.abc import Generator

from locust import between

from harness import (
    At,
    Balancing,
    Client,
    Design,
    Heal,
    Partition,
    Scenario,
    Sessions,
    SessionUser,
    clean_control,
    finds,
    keeps,
    loses_only_the_at_risk,
    recovers,
)
from harness.load.user import Reply, Request


class Impatient(SessionUser):
    """Fills a cart and looks at it; gives up on a reply after half a second, and asks again."""

    wait_time = between(0.05, 0.2)
    timeout = 0.5

    def session(self, cart: Client) -> Generator[Request, Reply, None]:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


# What is under way when a partition begins arrives when it ends, long after its sender gave up. Where the last write
# wins it may undo later ones; a store that compares versions refuses it. A balancer that asks only whether a replica
# answers keeps sending requests to one that has lost its store.
FRONT, BACK = Partition("balancer-r1"), Partition("r1-store")
DESIGNS = (
    Design("hybrid", state="redis", balancing=Balancing("round_robin"), at_risk="none"),
    Design(
        "versioned", state="redis", balancing=Balancing("round_robin"), options={"versioned": "yes"}, at_risk="none"
    ),
    Design("sticky", state="memory", balancing=Balancing("cookie")),
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
    quick=Scenario(
        designs=DESIGNS,
        replicas=3,
        load=Sessions(concurrent=80, duration="8s", warmup="500ms"),
        faults=[At("1s", FRONT), At("3s", Heal(FRONT)), At("4s", BACK), At("6s", Heal(BACK))],
        expect=EXPECT,
    ),
)
