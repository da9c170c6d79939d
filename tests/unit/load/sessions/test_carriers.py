from typing import Any

import pytest

from harness.load.http.client import JSON_TYPE, Client, Request
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.carriers import (
    MAX_ID_CHARACTERS,
    Bearer,
    Body,
    CarriedIds,
    Carrier,
    Cookie,
    Header,
    Path,
    Query,
)
from harness.observations.identity import Change
from tests.support.load import Rig, Visitor, drive, header, reply, scripted
from tests.unit.load.sessions.test_extractors import reply as answer

LINK = b'<a href="/next?page=2&amp;sid=abc">next</a>'
SERVLET = b'<a href="/cart;jsessionid=A1.r2?x=1">cart</a>'


@pytest.mark.parametrize(
    ("carrier", "head", "body", "found"),
    [
        (Header("Mcp-Session-Id"), "mcp-session-id: abc\r\n", b"", "abc"),
        (Header("X-Id"), "X-Id: 0042\r\n", b"", "0042"),
        (Header("X-Id"), "", b"", None),
        (Header("X-Id"), "X-Id: \r\n", b"", ""),
        (Bearer(), "", b'{"access_token": "t1"}', "t1"),
        (Bearer("data.token"), "", b'{"data": {"token": "t2"}}', "t2"),
        (Bearer(), "", b"not JSON", None),
        (Query("sid"), "", b'0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"]}', "lv_VI97HAXpY6yYWAAAC"),
        (Query("sid"), "Location: /next?sid=a%2Bb\r\n", b"", "a%2Bb"),
        (Query("sid"), "", LINK, "abc"),
        (Query("sid"), "", b'{"inside": "x"}', None),
        (Query("sid", r'^0\{"sid":"(\w+)"'), "", b'0{"sid":"a"}', "a"),
        (Query("sid", r'^0\{"sid":"(\w+)"'), "", b'40{"sid":"b"}', None),
        (Path(), "", SERVLET, "A1.r2"),
        (Path(), "Location: /cart;jsessionid=B2\r\n", SERVLET, "B2"),
        (Body("session.id"), "", b'{"session": {"id": 7}}', "7"),
        (Body("session.id"), "", b'{"session": {}}', None),
        (Cookie("sid"), "Set-Cookie: sid=1\r\n", b"", None),
    ],
)
def test_an_id_is_found_where_it_travels(carrier: Carrier, head: str, body: bytes, found: str | None) -> None:
    assert carrier.find(answer(body, head)) == found


@pytest.mark.parametrize(
    ("carrier", "path", "sent"),
    [
        (Query("sid"), "/io?EIO=4", "/io?EIO=4&sid=a%2Fb"),
        (Query("sid"), "/io", "/io?sid=a%2Fb"),
        (Query("sid"), "/io?sid=mine", "/io?sid=mine"),
        (Query("id"), "/io?sid=mine", "/io?sid=mine&id=a%2Fb"),
        (Path(), "/cart?x=1", "/cart;jsessionid=a%2Fb?x=1"),
        (Path(), "/cart;jsessionid=mine", "/cart;jsessionid=mine"),
        (Header("X-Id"), "/cart", "/cart"),
    ],
)
def test_an_id_is_put_into_the_path_under_the_same_name(carrier: Carrier, path: str, sent: str) -> None:
    placed = carrier.place(Client(1).get(path), "a/b")
    assert placed.path == sent
    assert placed.name in ("", f"GET {path.partition('?')[0]}")


def body_of(step: Request) -> bytes:
    return step.body


def test_an_id_is_put_into_a_body_that_is_a_json_object() -> None:
    client, carrier = Client(1), Body("session.id")
    assert body_of(carrier.place(client.post("/a", json={"x": 1}), "s1")) == b'{"x":1,"session":{"id":"s1"}}'
    for step in (client.post("/a", json=[1]), client.post("/a", data="x=1"), client.get("/a")):
        assert carrier.place(step, "s1") == step
    assert body_of(carrier.place(client.post("/a", json={"session": 3}), "s1")) == b'{"session":3}'
    assert client.post("/a", json={}).content_type == JSON_TYPE


@pytest.mark.parametrize("hostile", [b"x" * (MAX_ID_CHARACTERS + 1), "ü".encode("latin-1"), b"a\tb"])
def test_an_id_that_cannot_be_sent_is_left_alone(hostile: bytes) -> None:
    ids = CarriedIds([Header("X-Id")])
    assert list(ids.take(answer(b"", "X-Id: good\r\n")))
    assert not list(ids.take(answer(b"", f"X-Id: {hostile.decode('latin-1')}\r\n")))
    assert ids.lines == b"X-Id: good\r\n"


class Carrying(Visitor):
    carries = (Header("X-Session"), Query("sid"))


def three_requests(client: Client) -> SessionSteps:
    yield client.post("/login")
    yield client.get("/cart")
    yield client.get("/cart", name="cart")
    yield client.post("/login", fresh=True)


def test_a_session_sends_the_latest_id_with_every_request() -> None:
    script = [
        reply(headers={"X-Session": "one"}),
        reply(body=b'{"sid": "s"}', headers={"X-Session": "two"}),
        reply(404, headers={"X-Session": "three"}),
        reply(),
    ]
    with scripted(*script) as server:
        driven = drive(server.url, Carrying(three_requests))
    assert [header(request, "X-Session") for request in server.requests] == [None, "one", "two", None]
    paths = [request.split(b" ")[1] for request in server.requests]
    assert paths == [b"/login", b"/cart", b"/cart?sid=s", b"/login"]
    changes = driven.sessions[0].ledger.history().identity
    assert [(change.change, change.name, change.value) for change in changes] == [
        (Change.SET, "header X-Session", "one"),
        (Change.REPLACED, "header X-Session", "two"),
        (Change.SET, "query sid", "s"),
    ]
    assert changes[0].why == "reply 200 to POST /login"
    assert 0 < changes[0].t_ns <= changes[1].t_ns


def test_a_header_that_becomes_empty_takes_the_id_away() -> None:
    with scripted(reply(headers={"X-Session": "one"}), reply(headers={"X-Session": ""})) as server:
        driven = drive(server.url, Carrying(three_requests))
    assert [header(request, "X-Session") for request in server.requests] == [None, "one", None, None]
    assert driven.sessions[0].ledger.history().identity[-1].change is Change.DROPPED


def test_a_second_device_joins_with_the_id_of_the_first() -> None:
    class Two(Carrying):
        devices = 2

    def look(client: Client) -> SessionSteps:
        yield client.get("/cart")
        yield client.get("/cart")

    first: list[Any] = []

    def answer_once(request: bytes) -> bytes:
        given = header(request, "X-Session") is None
        first.append(given)
        return reply(headers={"X-Session": "shared"} if given else None)

    with scripted(otherwise=answer_once) as server:
        rig = Rig(server.url)
        rig.visit(Two(look), Two(look))
        rig.close()
    assert sum(first) == 1, "only the first request of the first device has no id"
