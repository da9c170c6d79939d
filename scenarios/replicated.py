"""Is memory safe on two replicas? Each session is copied to a second one, which takes over if the first is killed.

``copied_first`` acknowledges a write once the copy exists, ``copied_after`` before that. No session is lost; the latter
may lose the writes that were in flight. The dead replica comes back empty, and gets its sessions back on request.

harness run scenarios/replicated.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Kill,
    Restart,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    loses_at_most,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.15)


def copied(name: str, ack: str, balancing: Balancing) -> Design:
    """Memory with a copy; ``ack`` says who must have a write before it is acknowledged."""
    return Design(name, BuiltIn(state="replicated", options={"ack": ack}), balancing, at_risk="none")


DESIGNS = (
    copied("copied_first", "peer", Balancing("cookie")),
    copied("copied_after", "self", Balancing("cookie")),
    copied("hashed", "peer", Balancing("hash_header", key="X-User")),
)
EXPECT = (
    keeps("copied_first", "hashed"),
    loses_at_most("copied_after", seconds=0.5),
    clean_control("copied_first", "copied_after", "hashed"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=120, duration="12s", warmup="1s"),
    faults=[At("4s", Kill(replica=1)), At("8s", Restart(replica=1))],
    expect=EXPECT,
)
