"""What does a cold start cost? The same cart by a process for every call, by processes kept warm, and by one that runs.

harness run scenarios/serverless.py
"""

from collections.abc import Generator

from locust import between

from harness import Balancing, Client, Design, Scenario, Sessions, SessionUser, clean_control
from harness.load.user import Reply, Request


class Shopper(SessionUser):
    """Fills a cart and looks at it, seldom enough that processes can be started for it."""

    wait_time = between(0.4, 0.8)

    def session(self, cart: Client) -> Generator[Request, Reply, None]:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


EVEN = Balancing("round_robin")
DESIGNS = (
    Design("cold", app="function", state="token", balancing=EVEN, at_risk="none", options={"warm": "0"}),
    Design("warm", app="function", state="token", balancing=EVEN, at_risk="none", options={"warm": "4"}),
    Design("running", app="cart", state="token", balancing=EVEN, at_risk="none"),
)
EXPECT = (clean_control("cold", "warm", "running"),)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=2,
    load=Sessions(concurrent=3, duration="20s", warmup="4s"),
    expect=EXPECT,
    quick=Scenario(designs=DESIGNS, replicas=2, load=Sessions(concurrent=3, duration="9s", warmup="3s"), expect=EXPECT),
)
