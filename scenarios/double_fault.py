"""Two faults in sequence: the sessions that fled from one dead replica meet the next one's death.

harness run scenarios/double_fault.py
"""

from collections.abc import Generator

from locust import between

from harness import (
    At,
    Balancing,
    Client,
    Design,
    Kill,
    Restart,
    Scenario,
    Sessions,
    SessionUser,
    clean_control,
    keeps,
    loses_the_at_risk,
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


DESIGNS = (
    Design("stateless", state="token", balancing=Balancing("round_robin"), at_risk="none"),
    Design("hybrid", state="redis", balancing=Balancing("round_robin"), at_risk="none"),
    Design("sticky", state="memory", balancing=Balancing("cookie"), at_risk="victim"),
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
    quick=Scenario(
        designs=DESIGNS,
        replicas=3,
        load=Sessions(concurrent=120, duration="5s", warmup="500ms"),
        faults=[At("1s", Kill(1)), At("2s", Restart(1)), At("3s", Kill(2)), At("4s", Restart(2))],
        expect=EXPECT,
    ),
)
