"""How far does each design scale? Capacity at 1, 2, 4, 8 replicas with an emulated service time (20 ms, 2 at once).

This gives a replica a capacity of 100 requests per second at almost no CPU, so one machine shows what many would, until
some other resource is the limit.
"""

from harness import Balancing, BuiltIn, Design, Requests, Scenario
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart of bounded size and looks at it."""


BALANCING = Balancing("least_connections")

SCENARIO = Scenario(
    designs=[
        Design("token", BuiltIn(state="token", service_time="20ms", slots=2), BALANCING, at_risk="none"),
        Design("redis", BuiltIn(state="redis", service_time="20ms", slots=2), BALANCING, at_risk="none"),
    ],
    replicas=2,
    load=Requests(rate=100, sessions=100, duration="5s", warmup="1s"),
)
