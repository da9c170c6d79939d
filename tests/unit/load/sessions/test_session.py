import logging
import socket
from collections.abc import Iterator

import pytest

from harness.load.http.client import Client, Sleep
from harness.load.http.wire import Response
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.operations import operation
from tests.support.load import (
    CLOSE,
    HANG,
    RESET,
    Action,
    Rig,
    Scripted,
    Shelf,
    Visitor,
    drive,
    header,
    reply,
    scripted,
)

OK, FAILED, IN_DOUBT = Outcome
Replies = list[Response]


def write_then_read(replies: Replies) -> Visitor:
    def session(cart: Client) -> SessionSteps:
        replies.append((yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")))
        replies.append((yield cart.get("/cart")))

    return Visitor(session, timeout=0.3)


class Visit:
    """One session against a script: its replies, what was recorded, what was sent."""

    def __init__(self, server: Scripted, user: Visitor, replies: Replies) -> None:
        rig = Rig(server.url)
        rig.visit(user)
        self.rows, self.replies, self.requests, self.server = rig.rows(), replies, server.requests, server
        self.session = rig.sessions[0]
        self.outcomes = [Outcome(row) for row in self.rows["outcome"]]
        self.anomalies = [Anomaly(row) for row in self.rows["anomaly"]]
        rig.close()


def visit(*actions: Action) -> Visit:
    replies: Replies = []
    with scripted(*actions, otherwise=Shelf()) as server:
        return Visit(server, write_then_read(replies), replies)


def test_replies_reach_the_generator_and_the_record() -> None:
    seen = visit()
    assert [each.status for each in seen.replies] == [200, 200]
    assert seen.replies[1].json()["session"]["count"] == 1
    assert seen.outcomes == [OK, OK] and seen.anomalies == [Anomaly.NONE] * 2
    write, read = seen.rows
    assert (write["op"], read["op"]) == (operation(1, 1, 1), 0)
    assert (write["status"], write["session"], write["writer"], write["attempts"], write["reconnected"]) == (
        200,
        1,
        1,
        1,
        0,
    )
    assert 0 <= write["t_intended"] <= write["t_sent"] <= write["t_first"] <= write["t_end"] <= read["t_intended"]
    assert write["bytes_sent"] == len(seen.requests[0])


def test_a_write_carries_its_id_and_a_read_none() -> None:
    seen = visit()
    assert [header(request, "Idempotency-Key") for request in seen.requests] == [f"{operation(1, 1, 1):016x}", None]
    assert {(header(request, "X-User"), header(request, "X-Writer")) for request in seen.requests} == {("u1", "1")}


@pytest.mark.parametrize(
    ("action", "outcome", "status"),
    [
        (reply(204, b""), OK, 204),
        (reply(302), OK, 302),
        (reply(404), FAILED, 404),
        (reply(409), FAILED, 409),
        (reply(404, replica=""), IN_DOUBT, 404),
        (reply(500), IN_DOUBT, 500),
        (reply(503), IN_DOUBT, 503),
        (reply(503, replica=""), IN_DOUBT, 503),
        (reply(502, replica=""), IN_DOUBT, 502),
        (HANG, IN_DOUBT, 0),
        (CLOSE, IN_DOUBT, 0),
        (RESET, IN_DOUBT, 0),
        ((reply()[:30], CLOSE), IN_DOUBT, 0),
        ((reply()[:30], HANG), IN_DOUBT, 0),
        (b"SSH-2.0-OpenSSH\r\n", IN_DOUBT, 0),
    ],
)
def test_a_write_has_the_outcome_that_its_response_allows(action: Action, outcome: Outcome, status: int) -> None:
    seen = visit(action)
    assert (seen.outcomes[0], seen.rows["status"][0], seen.replies[0].status) == (outcome, status, status)
    assert seen.rows["attempts"][0] == 1, "a write is never sent twice"
    history = seen.session.ledger.history()
    assert (history.acknowledged, len(history.in_doubt), len(history.failed)) == {
        OK: (1, 0, 0),
        IN_DOUBT: (0, 1, 0),
        FAILED: (0, 0, 1),
    }[outcome]
    assert seen.outcomes[1] is OK, "the session goes on"


def test_a_refused_connection_is_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    rig, replies = Rig(url), Replies()
    rig.visit(write_then_read(replies))
    assert [Outcome(row) for row in rig.rows()["outcome"]] == [FAILED, FAILED]
    assert list(rig.rows()["t_first"]) == [-1, -1] and list(rig.rows()["bytes_sent"]) == [0, 0]
    rig.close()


def test_all_cookies_survive_every_error() -> None:
    shelf = Shelf()
    cookies = reply(body=shelf.body(), headers={"Set-Cookie": "session=s1; Path=/", "set-cookie": "SRV=r0; path=/"})
    errors: list[Action] = [HANG, CLOSE, RESET, reply(503, replica=""), reply(401), reply(404), b"garbage\r\n"]
    replies: Replies = []

    def session(cart: Client) -> SessionSteps:
        for _ in range(len(errors) + 2):
            replies.append((yield cart.post("/cart/add", writes=1)))

    with scripted(cookies, *errors, otherwise=lambda request: reply()) as server:
        seen = Visit(server, Visitor(session, timeout=0.2), replies)
    assert [header(request, "Cookie") for request in seen.requests] == [None] + ["session=s1; SRV=r0"] * (
        len(errors) + 1
    )


def test_set_cookie_replaces_one_and_deletes_one() -> None:
    first = reply(headers={"Set-Cookie": "session=s1", "set-cookie": "SRV=r0"})
    then = reply(503, headers={"Set-Cookie": "SRV=r1", "set-cookie": "session=; Max-Age=0"}, replica="")
    assert [header(request, "Cookie") for request in visit(first, then).requests] == [None, "session=s1; SRV=r0"]
    replies: Replies = []

    def session(cart: Client) -> SessionSteps:
        for _ in range(3):
            replies.append((yield cart.get("/cart")))

    with scripted(first, then) as server:
        seen = Visit(server, Visitor(session), replies)
    assert header(seen.requests[2], "Cookie") == "SRV=r1"


def test_a_cookie_too_large_for_a_browser_leaves_the_one_before_it_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, then = reply(headers={"Set-Cookie": "session=s1"}), reply(headers={"Set-Cookie": f"session={'x' * 4096}"})
    replies: Replies = []

    def session(cart: Client) -> SessionSteps:
        for _ in range(4):
            replies.append((yield cart.get("/cart")))

    with scripted(first, then, then) as server, caplog.at_level(logging.ERROR):
        seen = Visit(server, Visitor(session), replies)
    assert [header(request, "Cookie") for request in seen.requests] == [None, "session=s1", "session=s1", "session=s1"]
    assert [record.message for record in caplog.records] == [
        "the cookie session is refused, as browsers do: more than 4096 bytes"
    ]


def test_a_401_is_failed_and_a_forced_login() -> None:
    seen = visit(reply(401))
    assert (seen.outcomes[0], seen.anomalies[0]) == (FAILED, Anomaly.FORCED_LOGIN)
    assert seen.session.ledger.history().forced_logins == 1


def test_a_new_birth_after_an_acknowledged_write_is_lost() -> None:
    other = Shelf("b2")
    seen = visit(Shelf()(b"Idempotency-Key: %016x\r\n" % operation(1, 1, 1)), other(b""))
    assert seen.anomalies == [Anomaly.NONE, Anomaly.LOST]


def test_a_write_in_doubt_that_appears_is_no_anomaly() -> None:
    shelf = Shelf()
    shelf(b"Idempotency-Key: %016x\r\n" % operation(1, 1, 1))
    seen = visit(HANG, shelf(b""))
    assert seen.outcomes == [IN_DOUBT, OK] and seen.anomalies == [Anomaly.NONE] * 2


def once(request: object, replies: Replies | None = None) -> Visitor:
    def session(cart: Client) -> SessionSteps:
        reply = yield request  # type: ignore[misc] # also things that are no request
        if replies is not None:
            replies.append(reply)
        yield cart.get("/next")

    return Visitor(session)


def test_a_check_that_does_not_hold_is_wrong_content() -> None:
    for check, anomaly in [
        (lambda reply: reply.json()["a"] == 1, Anomaly.NONE),
        (lambda reply: False, Anomaly.WRONG),
        (lambda reply: 1 / 0, Anomaly.WRONG),
    ]:
        with scripted(reply(body=b'{"a": 1}')) as server:
            seen = Visit(server, once(Client(1).get("/", check=check)), [])
        assert seen.anomalies[0] is anomaly and seen.outcomes[0] is OK


def test_reads_takes_the_place_of_observe() -> None:
    shelf, statuses = Shelf(), []
    shelf.ops = [5]  # a write that no user made: seen by ``observe``, it would be an anomaly

    def reads(reply: Response) -> None:
        statuses.append(reply.status)

    with scripted(shelf(b"")) as server:
        seen = Visit(server, once(Client(1).get("/", reads=reads)), [])
    assert statuses == [200] and seen.anomalies[0] is Anomaly.NONE


@pytest.fixture
def logged_once(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.ERROR, "harness.load"):
        yield caplog


def test_a_session_that_raises_is_logged_once_and_the_others_go_on(logged_once: pytest.LogCaptureFixture) -> None:
    def broken(cart: Client) -> SessionSteps:
        yield cart.get("/cart")
        raise RuntimeError("oh no")

    replies: Replies = []
    with scripted(otherwise=Shelf(owner="")) as server:
        rig = Rig(server.url)
        rig.visit(Visitor(broken), Visitor(broken), write_then_read(replies))
        rig.close()
    assert [each.status for each in replies] == [200, 200]
    assert len(logged_once.records) == 1 and "oh no" in logged_once.text and "test_session.py" in logged_once.text


@pytest.mark.parametrize("thing", [None, "GET /", Client(1).get("no slash")])
def test_an_object_that_cannot_be_sent_ends_the_session_and_is_logged(
    thing: object, logged_once: pytest.LogCaptureFixture
) -> None:
    with scripted() as server:
        rig = Rig(server.url)
        rig.visit(once(thing))
        rig.close()
    assert len(logged_once.records) == 1 and server.requests == []


def test_a_pause_rests_and_a_wait_lies_before_each_request() -> None:
    def session(cart: Client) -> SessionSteps:
        yield cart.get("/a")
        yield Sleep(0.05)
        yield cart.get("/b")

    with scripted() as server:
        rig = Rig(server.url)
        rig.visit(Visitor(session, wait=0.02))
        rows = rig.rows()
        rig.close()
    assert rows["t_intended"][0] >= 20_000_000
    assert rows["t_intended"][1] - rows["t_end"][0] >= 70_000_000
    assert (rows["t_sent"] >= rows["t_intended"]).all()


def test_names_are_given_or_made_without_the_query() -> None:
    def session(cart: Client) -> SessionSteps:
        yield cart.get("/cart?a=1")
        yield cart.get("/cart?a=2")
        yield cart.get("/item/7", name="an item")

    with scripted() as server:
        rig = Rig(server.url)
        rig.visit(Visitor(session))
        assert [rig.names.lookup("name", number) for number in rig.rows()["name"]] == [
            "GET /cart",
            "GET /cart",
            "an item",
        ]
        rig.close()


class Sharing(Visitor):
    devices = 2


def test_a_second_device_has_the_owner_and_the_cookies_of_the_first_and_writes_for_itself() -> None:
    def session(cart: Client) -> SessionSteps:
        yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
        yield cart.get("/cart")

    def answer(request: bytes) -> bytes:
        is_known = header(request, "Cookie")
        return reply(headers={} if is_known else {"Set-Cookie": f"session=of-{header(request, 'X-User')}"})

    with scripted(otherwise=answer) as server:
        driven = drive(server.url, *(Sharing(session) for _ in range(4)))
    sent = [
        (header(request, "X-Writer"), header(request, "X-User"), header(request, "Cookie"))
        for request in server.requests
    ]
    assert sorted(sent, key=lambda row: (row[0], row[2] or "")) == [
        ("1", "u1", None), ("1", "u1", "session=of-u1"), ("2", "u1", "session=of-u1"), ("2", "u1", "session=of-u1"),
        ("3", "u3", None), ("3", "u3", "session=of-u3"), ("4", "u3", "session=of-u3"), ("4", "u3", "session=of-u3"),
    ]  # fmt: skip
    ledgers = [session.ledger.history() for session in driven.sessions]
    assert [(ledger.session, ledger.writer, ledger.owner, ledger.acknowledged) for ledger in ledgers] == [
        (1, 1, "u1", 1), (2, 2, "u1", 1), (3, 3, "u3", 1), (4, 4, "u3", 1),
    ]  # fmt: skip
    first, second, third, _ = (session.ledger.shared for session in driven.sessions)
    assert first is second is not None and third is not None and third is not first
