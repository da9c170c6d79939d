"""How evenly does each policy spread a load of which a few sessions make a large part, and what does affinity cost?

There are no faults: the shares are the finding. One user in fifteen hardly pauses. Every replica takes 4 ms per request
(emulated), one at a time.

harness run scenarios/spread.py
"""

import random

from locust.env import Environment

from harness import Balancing, BuiltIn, Design, Scenario, Sessions, clean_control
from harness.recipes import Shopper

HOT = 1 / 15


class Customer(Shopper):
    """Fills a cart and looks at it; some users do so without a pause."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._haste = 15 if random.random() < HOT else 1

    def wait_time(self) -> float:
        """Seconds; a fifteenth for a hot session."""
        return random.uniform(0.1, 0.3) / self._haste


def _design(name: str, balancing: Balancing) -> Design:
    return Design(name, BuiltIn(state="token", service_time="4ms"), balancing)


DESIGNS = (
    _design("round_robin", Balancing("round_robin")),
    _design("least_connections", Balancing("least_connections")),
    _design("ring_hash", Balancing("hash_header", key="X-User")),
    _design("maglev", Balancing("maglev_header", key="X-User")),
    _design("cookie", Balancing("cookie")),
)
EXPECT = (clean_control(*(design.name for design in DESIGNS)),)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=90, duration="10s", warmup="1s"),
    expect=EXPECT,
)
