"""A stateless API with a dead node: any replica answers any order, without prior knowledge of the user.

Each reply is judged by its content, and the effect journal shows whether an order took place once, twice or never.
"""

import zlib

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Kill,
    Response,
    Restart,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    keeps,
)
from harness.oracle.models import stateless


def total_cents(product: str, quantity: int) -> int:
    """The price that the service charges (targets/apps/orders.py)."""
    return quantity * (100 + zlib.crc32(product.encode()) % 9900)


class Buyer(SessionUser):
    """Orders one thing after another."""

    wait_time = between(0.05, 0.2)
    model = stateless

    def session(self, shop: Client) -> SessionSteps:
        number = 0
        while True:
            number += 1
            product, quantity = f"p{number % 50}", 1 + number % 3
            order = {"user_id": shop.user, "product_id": product, "quantity": quantity}
            wanted = {**order, "total_cents": total_cents(product, quantity)}
            yield shop.post(
                "/order", json=order, writes=product, check=lambda reply, wanted=wanted: fits(reply, wanted)
            )


def fits(reply: Response, wanted: dict[str, object]) -> bool:
    """Whether the reply is for the requested order."""
    order = reply.json().get("order", {})
    return isinstance(order, dict) and wanted.items() <= order.items()


SCENARIO = Scenario(
    designs=[Design("orders", BuiltIn("orders", state="none"), Balancing("round_robin"), at_risk="none")],
    replicas=3,
    load=Sessions(concurrent=150, duration="10s", warmup="1s"),
    faults=[At("3s", Kill(replica=1)), At("6s", Restart(replica=1))],
    expect=[keeps("orders"), clean_control("orders")],
)
