"""Requests that a session sends at once."""

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from harness.load.http.client import Client
from harness.load.http.response import Response
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.models import ModelFactory, items, log
from tests.support.load import CLOSE, Shelf, Visitor, drive, header, reply, scripted


class Gathering:
    """Holds requests back until ``count`` of them are there at once."""

    def __init__(self, count: int, answer: Callable[[bytes], bytes]) -> None:
        self._all_there = threading.Barrier(count)
        self._answer = answer
        self._lock = threading.Lock()

    def __call__(self, request: bytes) -> bytes:
        self._all_there.wait(5)
        with self._lock:
            return self._answer(request)


def test_the_replies_come_back_in_the_order_of_the_requests() -> None:
    seen: list[list[Response]] = []

    def session(page: Client) -> SessionSteps:
        seen.append((yield [page.get(f"/{name}") for name in "abc"]))
        yield page.get("/after")

    with scripted(otherwise=lambda request: reply(body=request[5:6])) as server:
        driven = drive(server.url, Visitor(session))
    assert [response.body for response in seen[0]] == [b"a", b"b", b"c"]
    assert driven.outcomes == [Outcome.OK] * 4


def test_they_are_under_way_together() -> None:
    def session(page: Client) -> SessionSteps:
        yield [page.get("/a"), page.get("/b"), page.get("/c")]

    with scripted(otherwise=Gathering(3, lambda request: reply())) as server:
        records = drive(server.url, Visitor(session)).records
    assert max(records["t_sent"]) < min(records["t_end"])
    assert len(set(records["t_intended"].tolist())) == 1


def test_six_at_most_have_a_connection_and_the_others_follow() -> None:
    def session(page: Client) -> SessionSteps:
        yield [page.get(f"/{number}") for number in range(12)]
        yield page.get("/after")

    with scripted(otherwise=lambda request: reply()) as server:
        assert drive(server.url, Visitor(session)).outcomes == [Outcome.OK] * 13
        assert server.connections == 6


def test_they_share_the_cookies_of_the_session() -> None:
    def session(page: Client) -> SessionSteps:
        yield page.get("/first")
        yield [page.get("/a"), page.get("/b")]
        yield page.get("/last")

    def renew(request: bytes) -> bytes:
        name = request[5:6].decode()
        return reply(headers={} if name == "l" else {"Set-Cookie": f"{name}=1"})

    with scripted(otherwise=renew) as server:
        drive(server.url, Visitor(session))
        sent = {request.split()[1]: header(request, "Cookie") for request in server.requests}
    assert (sent[b"/a"], set((sent[b"/last"] or "").split("; "))) == ("f=1", {"f=1", "a=1", "b=1"})


def test_writes_sent_at_once_are_each_settled_by_their_own_reply() -> None:
    shelf = Shelf()

    def answer(request: bytes) -> bytes:
        return reply(409) if request.startswith(b"POST /refused") else shelf(request)

    def session(page: Client) -> SessionSteps:
        yield [page.post("/a", writes=1), page.post("/refused", writes=1), page.post("/b", writes=1), page.get("/c")]
        yield page.get("/after")

    gathering = Gathering(4, answer)
    with scripted(otherwise=lambda request: (answer if b"/after" in request else gathering)(request)) as server:
        driven = drive(server.url, Visitor(session))
    history = driven.sessions[0].ledger.history()
    assert (history.issued, history.acknowledged, history.failed, history.in_doubt) == (3, 2, ((2, 2),), ())
    assert driven.records["anomaly"].tolist() == [Anomaly.NONE] * 5


def test_an_update_lost_between_two_writes_shows_at_the_next_read() -> None:
    """Two requests read the same cookie, and the later Set-Cookie wins."""

    class Basket(Visitor):
        model: ClassVar[ModelFactory] = items

        def observe(self, reply: Response, /) -> Any:
            return reply.json()

    def add(request: bytes) -> bytes:
        kept = (header(request, "Cookie") or "list=").removeprefix("list=")
        item = request[6:7].decode() if request.startswith(b"POST") else ""
        both = kept + item
        return reply(body=str(list(both)).replace("'", '"').encode(), headers={"Set-Cookie": f"list={both}"})

    def session(page: Client) -> SessionSteps:
        yield [page.post("/x", writes="x"), page.post("/y", writes="y")]
        yield page.get("/")

    with scripted(otherwise=add) as server:
        driven = drive(server.url, Basket(session))
    assert driven.outcomes == [Outcome.OK] * 3
    assert driven.records["anomaly"].tolist() == [Anomaly.NONE, Anomaly.NONE, Anomaly.ROLLED_BACK]


def test_one_that_fails_leaves_the_others_alone() -> None:
    seen: list[list[Response]] = []

    def session(page: Client) -> SessionSteps:
        seen.append((yield [page.get("/a"), page.post("/b", writes=1)]))
        yield page.get("/after")

    def answer(request: bytes) -> bytes | str:
        return CLOSE if request.startswith(b"POST") else reply()

    with scripted(otherwise=answer) as server:
        driven = drive(server.url, Visitor(session))
    assert [response.status for response in seen[0]] == [200, 0]
    assert sorted(driven.outcomes) == [Outcome.OK, Outcome.OK, Outcome.IN_DOUBT]
    assert driven.sessions[0].ledger.history().in_doubt == (1,)


def test_each_of_them_may_be_redirected() -> None:
    def session(page: Client) -> SessionSteps:
        yield [page.post("/a", writes=1, follow=1), page.get("/b")]

    def answer(request: bytes) -> bytes:
        return reply(303, b"", {"Location": "/there"}) if request.startswith(b"POST") else reply()

    with scripted(otherwise=answer) as server:
        driven = drive(server.url, Visitor(session))
    names = [driven.context.names.lookup("name", number) for number in driven.records["name"].tolist()]
    assert sorted(names) == ["GET /b", "GET /there", "POST /a"]


@pytest.mark.parametrize("step", [[], ["/a"], [Client(1).post("/a", writes="a"), Client(1).post("/b", writes="b")]])
def test_what_cannot_be_sent_at_once_ends_the_session_with_a_message(
    step: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    class Writer(Visitor):
        model: ClassVar[ModelFactory] = log

    with scripted() as server:
        driven = drive(server.url, Writer(lambda page: iter([step])))  # type: ignore[arg-type,return-value]
    assert len(driven.records) == 0
    assert caplog.records
