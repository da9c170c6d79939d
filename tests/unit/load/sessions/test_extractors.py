from typing import Any

import pytest

from harness.load.http.wire import HeadCache, Response, ResponseReader
from harness.load.sessions.carriers import Header
from harness.load.sessions.extractors import Json, Number, Text, Texts


def reply(body: bytes, head: str = "") -> Response:
    data = f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    response = ResponseReader(HeadCache()).feed(data, "GET")
    assert response is not None
    return response


CART = b'{"cart": {"items": ["tea", "rusks"], "owner": {"name": "u7"}}, "visits": 3}'
PAGE = b"<h1>Shop</h1><li>tea</li><li>rusks</li> Signed in as <b>u7</b>, 12 visits"


@pytest.mark.parametrize(
    ("observer", "body", "state"),
    [
        (Json("visits"), CART, 3),
        (Json("cart.items"), CART, ["tea", "rusks"]),
        (Json("cart.items.1"), CART, "rusks"),
        (Json("cart.owner.name"), CART, "u7"),
        (Json("cart.total"), CART, None),
        (Json("cart.total", missing=0), CART, 0),
        (Json("cart.items", missing=()), PAGE, ()),
        (Number(), PAGE, 12),
        (Number(r"(\d+) visits"), PAGE, 12),
        (Number(r"(\d+) orders", missing=0), PAGE, 0),
        (Text(r"as <b>(\w+)"), PAGE, "u7"),
        (Text(r"Goodbye"), PAGE, None),
        (Texts(r"<li>(.*?)</li>"), PAGE, ("tea", "rusks")),
        (Texts(r"<td>(.*?)</td>"), PAGE, ()),
        (Json("visits"), b"\xef\xbb\xbf" + CART, 3),
        (Json("name"), b'{"name": "M\xfcller"}', "M\ufffdller"),
        (Json("visits", missing=0), b'{"visits": ' + b"[" * 100_000, 0),
        (Json("visits", missing=0), b'{"visits": [NaN, ' + b"[" * 100_000, 0),
        (Number(r"m(.)"), "5 m\u00b2".encode(), None),
    ],
)
def test_the_state_is_found_where_it_is(observer: Any, body: bytes, state: object) -> None:
    assert observer(reply(body)) == state


def test_a_header_is_a_number_where_it_looks_like_one() -> None:
    shown = reply(b"", "X-Count: 7\r\nX-Name: u7\r\n")
    assert (Header("X-Count")(shown), Header("x-name")(shown), Header("X-No", missing="")(shown)) == (7, "u7", "")
