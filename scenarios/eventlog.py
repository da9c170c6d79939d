"""Is an event log as good as its disk? Every change is appended before it is acknowledged; a restart replays them all.

A killed service loses nothing. ``torn`` comes back without the end of its log, as after a power cut on a disk that lies
about its writes: it loses the last events and nothing else. ``long`` shows how much a long log slows down a restart.

harness run scenarios/eventlog.py
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
    TruncateTail,
    clean_control,
    finds,
    keeps,
    loses_at_most,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.15)


def logged(name: str, **options: str) -> Design:
    """A single replica with its events on its volume."""
    balancing = Balancing("round_robin", health=Health(interval="200ms"))
    return Design(name, BuiltIn(state="eventlog", options=options), balancing, replicas=1)


DESIGNS = (logged("synced"), logged("torn"), logged("long", ballast="20000"))
CUT = 2_000  # bytes: about ten events
EXPECT = (
    keeps("synced", "long"),
    finds("torn", among=("rolled_back",)),
    loses_at_most("torn", seconds=0.5),
    clean_control("synced", "torn", "long"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    load=Sessions(concurrent=60, duration="12s", warmup="1s"),
    faults=[
        At("6s", Kill(replica=0)),
        At("6500ms", TruncateTail(replica=0, cut=CUT), only=("torn",)),
        At("7s", Restart(replica=0)),
    ],
    expect=EXPECT,
)
