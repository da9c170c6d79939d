"""Does an order survive its coordinator? One of three is killed with orders at every step, and comes back.

Each order is reserved, paid and shipped, or completely undone; two in five are refused at some step. The effect journal
shows what the outside world has seen. ``logged`` keeps a durable log of its orders and continues from it; ``forgetful``
keeps none, and so leaves some orders half done: paid but never shipped.

harness run scenarios/saga.py
"""

from locust import between

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
    keeps,
    leaves_half_done,
    settles,
)


class Buyer(SessionUser):
    """Orders one thing after another, and checks how the orders ended."""

    wait_time = between(0.05, 0.15)

    def session(self, shop: Client) -> SessionSteps:
        while True:
            for refused in ("", "pay", "", "", "ship"):
                order = {"item": "tea", "refused": refused}
                how = "undone" if refused else "shipped"
                yield shop.post("/order", json=order, writes=how, check=lambda reply, how=how: how in items(reply))
                yield shop.get("/orders")

    def final(self, shop: Client) -> Request:
        return shop.get("/orders")


def items(reply: Response) -> dict[str, int]:
    """How many orders were shipped, and how many were undone."""
    found = reply.json().get("items")
    return found if isinstance(found, dict) else {}


#: Clients wait for their own coordinator, however long it is away: no other one knows the order.
OWN = Balancing("cookie", redispatch=False, health=Health(interval="200ms", fall=100))


def coordinated(name: str, **options: str) -> Design:
    """Coordinators whose outside services take 40 ms each."""
    options = {"step_time": "40ms", **options}
    return Design(name, BuiltIn("saga", state="eventlog", options=options), OWN)


DESIGNS = (coordinated("logged"), coordinated("forgetful", log="none"))
EXPECT = (keeps("logged"), settles("logged"), leaves_half_done("forgetful"))

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=120, duration="12s", warmup="1s"),
    faults=[At("5s", Kill(replica=1)), At("7s", Restart(replica=1))],
    expect=EXPECT,
)
