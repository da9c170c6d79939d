"""A session that is played by hand, outside of any load."""

import asyncio
from typing import Any

import pytest

from harness.common.errors import UsageError
from harness.load.http.client import Client
from harness.load.http.response import Response
from harness.load.sessions.behaviour import SessionSteps, parse_tally
from harness.load.sessions.manual import ManualSession
from tests.support.load import Shelf, Visitor, reply, scripted


class Reader(Visitor):
    """Shows what the built-in targets show."""

    def __init__(self) -> None:
        super().__init__(write_and_read_on)

    def observe(self, reply: Response, /) -> Any:
        return parse_tally(reply)


def write_and_read_on(client: Client) -> SessionSteps:
    """Trusts what it is answered."""
    while True:
        written = yield client.post("/cart", writes=1)
        yield client.get(written.json()["next"])


def look_at(body: bytes) -> object:
    with scripted(otherwise=lambda request: reply(body=body)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        return asyncio.run(ManualSession(Reader()).look(host, int(port)))


def test_a_look_shows_what_the_final_read_shows() -> None:
    assert getattr(look_at(Shelf("b1").body()), "birth", None) == "b1"


@pytest.mark.parametrize("body", [b"{no JSON", b'{"session": ' + b"[" * 100_000, b"<html>"])
def test_what_cannot_be_read_shows_nothing(body: bytes) -> None:
    assert look_at(body) is None


def test_a_session_that_raises_is_named_as_the_scenarios_own_error() -> None:
    with scripted(otherwise=lambda request: reply(body=b"{}")) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with pytest.raises(UsageError, match="a session raised KeyError"):
            asyncio.run(ManualSession(Reader()).play(host, int(port), writes=2, max_steps=4))
