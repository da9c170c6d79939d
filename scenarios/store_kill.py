"""What does a dead store do to the sessions? It holds everybody's; those who do not need it never notice.

harness run scenarios/store_kill.py
"""

from collections.abc import Generator

from locust import between

from harness import (
    At,
    Balancing,
    Client,
    Design,
    KillStore,
    RestartStore,
    Scenario,
    Sessions,
    SessionUser,
    clean_control,
    keeps,
    loses_the_at_risk,
    recovers,
)
from harness.load.user import Reply, Request


class Shopper(SessionUser):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)

    def session(self, cart: Client) -> Generator[Request, Reply, None]:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


# Whoever had written before is at risk. A design without a store runs its control arm only: nothing of it is broken.
DESIGNS = (
    Design("hybrid", state="redis", balancing=Balancing("round_robin"), at_risk="victim"),
    Design("stateless", state="token", balancing=Balancing("round_robin"), at_risk="none"),
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
    faults=[At("4s", KillStore()), At("6s", RestartStore())],
    expect=EXPECT,
    quick=Scenario(
        designs=DESIGNS,
        replicas=3,
        load=Sessions(concurrent=120, duration="5s", warmup="500ms"),
        faults=[At("1500ms", KillStore()), At("2500ms", RestartStore())],
        expect=EXPECT,
    ),
)
