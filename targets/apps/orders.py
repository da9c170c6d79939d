"""Orders without sessions: each request has all the data that its reply needs.

``POST /order`` ``{"user_id", "product_id", "quantity"}`` answers
``{"order": {"id", "user_id", "product_id", "quantity", "total_cents"}}`` and appends the effect ``order`` to the
journal. ``user_id`` and ``product_id`` are whole numbers or texts. ``id`` is the token of the operation, and
``total_cents`` is ``quantity * (100 + crc32(str(product_id)) % 9900)``, so that a client can check both.
"""

import zlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from targets.apps import AppContext
from targets.common.session import hex64, token
from targets.http import request_fields
from targets.http.errors import BadRequestError
from targets.http.routes import Routes
from targets.storage.journal import Journal

OPTIONS: tuple[str, ...] = ()
KEEPS_SESSIONS = False


def total_cents(product_id: int | str, quantity: int) -> int:
    """The price: a unit costs from 1.00 to 99.99, which follows from the product's id alone."""
    return quantity * (100 + zlib.crc32(str(product_id).encode()) % 9900)


class OrdersApp:
    """The one request."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def order(self, request: web.BaseRequest) -> web.Response:
        """``POST /order``."""
        op, fields = request_fields.operation(request), await request_fields.body(request)
        user_id, product_id = _identity(fields, "user_id"), _identity(fields, "product_id")
        quantity = request_fields.int_field(fields, "quantity")
        self._journal.append(op, "order")
        order = {"id": hex64(token(op)), "user_id": user_id, "product_id": product_id, "quantity": quantity}
        return request_fields.reply({"order": {**order, "total_cents": total_cents(product_id, quantity)}})


def _identity(fields: Mapping[str, Any], key: str) -> int | str:
    value = fields.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not 1 <= len(value) <= 64:
        raise BadRequestError(f"{key} is a whole number or a text of 1 to 64 characters")
    return value


def create_routes(context: AppContext) -> Routes:
    """The one route."""
    return {"/order": {"POST": OrdersApp(context.journal).order}}
