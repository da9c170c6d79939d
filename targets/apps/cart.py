"""A shopping cart: every request needs its session.

- ``GET /cart``                                       shows the cart
- ``POST /cart/add``    ``{"item", "quantity"?}``     adds an item (1 by default)
- ``POST /cart/remove`` ``{"item"}``                  removes all of an item
- ``POST /checkout``                                  empties the cart; the effect ``checkout`` goes to the journal

``--option dedupe=yes`` drops a repeated operation id and answers with the unchanged state.
"""

from aiohttp import web

from targets.apps import AppContext
from targets.http import request_fields
from targets.http.routes import Routes
from targets.sessions.service import Items, SessionService

OPTIONS: tuple[str, ...] = ("dedupe",)
KEEPS_SESSIONS = True


class CartApp:
    """The four requests."""

    def __init__(self, context: AppContext) -> None:
        self._sessions = SessionService(context.store, context.settings.options.flag("dedupe"))
        self._journal = context.journal

    async def show(self, request: web.BaseRequest) -> web.Response:
        """``GET /cart``."""
        return (await self._sessions.read(request)).reply()

    async def add(self, request: web.BaseRequest) -> web.Response:
        """``POST /cart/add``."""
        fields = await request_fields.body(request)
        item, quantity = request_fields.str_field(fields, "item"), request_fields.int_field(fields, "quantity", 1)

        def with_it(items: Items) -> Items:
            return {**items, item: items.get(item, 0) + quantity}

        return (await self._sessions.write(request, with_it)).reply()

    async def remove(self, request: web.BaseRequest) -> web.Response:
        """``POST /cart/remove``."""
        item = request_fields.str_field(await request_fields.body(request), "item")

        def without_it(items: Items) -> Items:
            return {name: quantity for name, quantity in items.items() if name != item}

        return (await self._sessions.write(request, without_it)).reply()

    async def checkout(self, request: web.BaseRequest) -> web.Response:
        """``POST /checkout``: the effect comes after the write, so a refused write has none."""
        stored = await self._sessions.write(request, lambda items: {})
        if stored.applied:
            self._journal.append(stored.op, "checkout", stored.session.birth)
        return stored.reply()


def create_routes(context: AppContext) -> Routes:
    """The cart's routes."""
    cart = CartApp(context)
    return {
        "/cart": {"GET": cart.show},
        "/cart/add": {"POST": cart.add},
        "/cart/remove": {"POST": cart.remove},
        "/checkout": {"POST": cart.checkout},
    }
