"""Ids are found wherever services put them, and what is no session's id is left alone."""

import json

import pytest

from harness.load.http.wire import HeadCache, Response, ResponseReader
from harness.load.sessions.carriers import Bearer, Body, Carrier, Header, Path, Query
from harness.load.sessions.seen_ids import find_ids
from tests.support.load import reply

SECRET = "0f3a9c51d2e84b77"


def response(headers: dict[str, str], body: str) -> Response:
    read = ResponseReader(HeadCache()).feed(reply(body=body.encode(), headers=headers), "GET")
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("headers", "body", "ids"),
    [
        ({"mcp-session-id": SECRET}, "", (Header("Mcp-Session-Id"),)),
        ({"x-auth-token": SECRET}, "", (Header("X-Auth-Token"),)),
        ({"x-request-id": SECRET, "x-csrf-token": SECRET, "www-authenticate": "Basic realm"}, "", ()),
        ({"x-session-id": "1"}, "", ()),
        ({}, json.dumps({"access_token": SECRET}), (Bearer("access_token"),)),
        ({}, json.dumps({"data": {"tokens": {"refresh_token": SECRET}}}), (Bearer("data.tokens.refresh_token"),)),
        ({}, json.dumps({"session_hash": SECRET}), (Body("session_hash"), Query("session_hash"))),
        ({}, json.dumps({"sid": SECRET, "upgrades": ["websocket"]}), (Body("sid"), Query("sid"))),
        ({}, json.dumps({"obsession": SECRET, "name": "a long enough text"}), ()),
        ({"location": f"/cart;jsessionid={SECRET}"}, "", (Path("jsessionid"),)),
        ({}, f'<a href="/next?sid={SECRET}">', (Query("sid"),)),
        ({}, "{not json", ()),
    ],
)
def test_what_may_be_an_id(headers: dict[str, str], body: str, ids: tuple[Carrier, ...]) -> None:
    assert find_ids([response(headers, body)]) == ids


def test_an_id_that_many_replies_give_is_one() -> None:
    answer = response({"mcp-session-id": SECRET}, "")
    assert find_ids([answer, answer]) == (Header("Mcp-Session-Id"),)
