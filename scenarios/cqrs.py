"""How late is a read model, and does it lose anything? Reads are answered by a view that follows the log of writes.

What a read lacks is late, not lost: reads right after a write are stale, but in the end everything is there, even after
a crash. The lag is the time until a read shows the preceding write, as its client sees it.

harness run scenarios/cqrs.py
"""

from locust import constant

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Health,
    Kill,
    Request,
    Response,
    Restart,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    Sleep,
    finds,
    keeps,
)

CAUGHT_UP = "GET /cart, caught up"


class Customer(SessionUser):
    """Adds an item and reads at once; then adds an item and waits until it is visible."""

    wait_time = constant(0)

    def session(self, cart: Client) -> SessionSteps:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")
            yield Sleep(0.3)
            added = yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get(f"/cart/after?version={version(added)}", name=CAUGHT_UP)
            yield Sleep(0.1)

    def final(self, cart: Client) -> Request:
        return cart.get("/cart/after")


def version(reply: Response) -> int:
    """The version that a reply shows; 0 if it shows none."""
    return int(reply.json().get("version", 0)) if reply.status == 200 else 0


def viewed(name: str, lag: str) -> Design:
    """A single replica with its events on its volume, and a read model that lags by ``lag``."""
    balancing = Balancing("round_robin", health=Health(interval="200ms"))
    return Design(name, BuiltIn("cqrs", state="eventlog", options={"lag": lag}), balancing, replicas=1)


DESIGNS = (viewed("quick_view", "20ms"), viewed("late_view", "150ms"))
EXPECT = (keeps("quick_view", "late_view"), finds("quick_view", "late_view", among=("stale",)))

SCENARIO = Scenario(
    designs=DESIGNS,
    load=Sessions(concurrent=60, duration="12s", warmup="1s"),
    faults=[At("6s", Kill(replica=0)), At("7s", Restart(replica=0))],
    expect=EXPECT,
)
