"""How much does a checkpoint save? A service with its state in memory saves it at intervals, is killed and comes back.

Writes acknowledged since the last checkpoint are lost: at most those of one interval. The more state there is to read,
the longer a restart takes.

harness run scenarios/checkpoint.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Health,
    Kill,
    Restart,
    Scenario,
    Sessions,
    clean_control,
    loses_at_most,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.15)


def checkpointed(name: str, every: str, ballast: int = 0) -> Design:
    """A single replica that writes its state to disk at this interval; ``ballast`` adds sessions without users."""
    balancing, options = Balancing("round_robin", health=Health(interval="200ms")), {"every": every}
    if ballast:
        options["ballast"] = str(ballast)
    return Design(name, BuiltIn(state="checkpoint", options=options), balancing, replicas=1)


DESIGNS = (
    checkpointed("often", "500ms"),
    checkpointed("seldom", "1500ms"),
    checkpointed("large", "1500ms", ballast=10_000),
)
EXPECT = (
    loses_at_most("often", seconds=0.5),
    loses_at_most("seldom", "large", seconds=1.5),
    clean_control("often", "seldom", "large"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    load=Sessions(concurrent=60, duration="12s", warmup="1s"),
    faults=[At("6s", Kill(replica=0)), At("7s", Restart(replica=0))],
    expect=EXPECT,
)
