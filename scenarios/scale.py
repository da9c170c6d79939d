"""How far does each design scale? Capacity at 1, 2, 4, 8 replicas whose service time is emulated (20 ms, 2 at once).

So a replica's capacity is 100 requests a second at almost no CPU, and one machine shows what many would: until
something else binds.
"""

from collections.abc import Generator

from locust import between

from harness import Balancing, Client, Design, Requests, Scenario, SessionUser
from harness.load.user import Reply, Request


class Shopper(SessionUser):
    """Fills a cart of bounded size, and looks at it."""

    wait_time = between(0.05, 0.2)

    def session(self, cart: Client) -> Generator[Request, Reply, None]:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


BALANCING = Balancing("least_connections")

SCENARIO = Scenario(
    designs=[
        Design("token", state="token", balancing=BALANCING, service_time="20ms", slots=2, at_risk="none"),
        Design("redis", state="redis", balancing=BALANCING, service_time="20ms", slots=2, at_risk="none"),
    ],
    replicas=2,
    load=Requests(rate=100, sessions=100, duration="5s", warmup="1s"),
)
