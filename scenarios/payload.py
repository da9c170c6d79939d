"""How much does a growing session cost on the wire, and where is the limit? Carts are filled from 1 to 200 items.

harness run scenarios/payload.py

The token carries the whole cart with every request, until it outgrows a cookie (4096 bytes). Behind HAProxy the client
then drops it silently, as browsers do. Behind nginx with its default buffers the reply becomes a 502, which counts as a
failure of the replica, so that it is out of rotation for all users.
"""

import zlib

from locust import constant

from harness import (
    Balancing,
    BuiltIn,
    Client,
    Design,
    Request,
    Response,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    errors_below,
    finds,
)

#: The numbers of items at which the cart is read.
SIZES = (1, 10, 25, 50, 100, 120, 130, 140, 150, 200)


def sku(number: int) -> str:
    """An article number of 17 characters; any two share at most their first characters."""
    return f"SKU-{zlib.crc32(b'%d' % number):010d}{number:03d}"


def holds(reply: Response, items: int) -> bool:
    """Whether the cart holds everything that was put into it."""
    return len(reply.json()["items"]) == items


class Filler(SessionUser):
    """Fills a cart item by item, and looks at it three times at each of the sizes."""

    wait_time = constant(0)

    def session(self, cart: Client) -> SessionSteps:
        items = 0
        while items < SIZES[-1]:
            added = yield cart.post("/cart/add", json={"item": sku(items)}, writes=items, name="add an item")
            items += added.ok
            for _ in range(3 if added.ok and items in SIZES else 0):
                yield cart.get("/cart", name=f"look at {items}", check=lambda reply, n=items: holds(reply, n))

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


EVEN = Balancing("round_robin", name="haproxy")
JWT = Design("jwt", BuiltIn(state="token"), EVEN, at_risk="none")
SIGNED = Design("signed", BuiltIn(state="token", options={"format": "signed"}), EVEN, at_risk="none")
BEHIND_NGINX = Design("jwt_nginx", BuiltIn(state="token"), Balancing("round_robin", name="nginx"), at_risk="none")
COOKIE = Design("cookie", BuiltIn(state="memory"), Balancing("cookie", name="haproxy"), at_risk="victim")

DESIGNS = (JWT, SIGNED, BEHIND_NGINX, COOKIE)
EXPECT = (
    finds("jwt", among=("wrong",)),
    errors_below(1, "jwt_nginx"),  # nearly all of its requests fail, which is what it shows
    clean_control("signed", "cookie"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=2,
    load=Sessions(concurrent=8, duration="12s", warmup="500ms"),
    expect=EXPECT,
)
