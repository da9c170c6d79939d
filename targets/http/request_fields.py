"""The fields of a request, read from its headers and its body, and JSON replies."""

import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from targets.http.errors import BadRequestError

COOKIE = "session"
_OP = re.compile(r"[0-9a-f]{16}")
_JSON = {"Content-Type": "application/json"}


def cookie(request: web.BaseRequest) -> str:
    """The handle in the session cookie; empty without one.

    It is parsed here, since the library would parse a balancer's cookies too. Handles are ASCII and need no unquoting.
    """
    for pair in request.headers.get("Cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value if value.isascii() else ""
    return ""


def owner(request: web.BaseRequest) -> str:
    """The owner of a session that this request makes, from ``X-User``."""
    return request.headers.get("X-User", "")


def writer(request: web.BaseRequest) -> str:
    """The session's writer that sends the request, from ``X-Writer``: a number as text.

    Raises:
        BadRequestError: it is not a number.
    """
    number = request.headers.get("X-Writer", "0")
    if not (number.isascii() and number.isdigit() and len(number) <= 10):
        raise BadRequestError("X-Writer is a number of up to ten digits")
    return number


def operation(request: web.BaseRequest) -> str:
    """The write's operation id, from ``Idempotency-Key``; a random one if the client sent none.

    Raises:
        BadRequestError: it is not 16 hex digits.
    """
    return parse_operation(request.headers.get("Idempotency-Key"), "Idempotency-Key")


def parse_operation(op: object, where: str) -> str:
    """Check an operation id, which ``where`` holds; a random one without any.

    Raises:
        BadRequestError: it is not 16 hex digits.
    """
    if op is None:
        return os.urandom(8).hex()
    if not isinstance(op, str) or not _OP.fullmatch(op):
        raise BadRequestError(f"{where} is 16 lower-case hex digits")
    return op


def query(request: web.BaseRequest, key: str, default: str) -> str:
    """The last value of a key in the query string."""
    return parse_qs(request.raw_path.partition("?")[2]).get(key, [default])[-1]


def wants_socket(request: web.BaseRequest) -> bool:
    """Whether the request is to open a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def body(request: web.BaseRequest) -> dict[str, Any]:
    """The JSON object in the request's body.

    Raises:
        BadRequestError: the body is something else.
    """
    try:
        value = json.loads(await request.read())
    except ValueError as problem:
        raise BadRequestError("the body is not JSON") from problem
    if not isinstance(value, dict):
        raise BadRequestError("the body is not a JSON object")
    return value


def int_field(fields: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A whole number from 1 to 1000 in the body.

    Raises:
        BadRequestError: it is missing and has no default, or something else.
    """
    value = fields.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise BadRequestError(f"{key} is a whole number from 1 to 1000")
    return value


def str_field(fields: Mapping[str, Any], key: str) -> str:
    """A text of 1 to 64 characters in the body.

    Raises:
        BadRequestError: it is missing or something else.
    """
    value = fields.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= 64:
        raise BadRequestError(f"{key} is a text of 1 to 64 characters")
    return value


def reply(value: object, status: int = 200) -> web.Response:
    """A JSON reply."""
    return web.Response(body=json.dumps(value).encode(), status=status, headers=_JSON)
