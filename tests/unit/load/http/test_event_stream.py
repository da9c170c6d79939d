"""Sessions on an event stream: what they receive, record and resume, and how their messages are judged."""

import socket
import time
from collections.abc import Callable

import pandas as pd
import pytest

from harness.load.http.client import OP, Client, Sleep
from harness.load.http.response import Response
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.websocket_session import envelope
from harness.observations.requests import Method, Outcome
from harness.oracle.delivery import judge_deliveries
from harness.oracle.operations import operation
from tests.support.load import Driven, Rig, Scripted, Visitor, drive, header, reply, scripted
from tests.unit.load.http.test_robust import nothing_left_open

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Replica: r0\r\nX-Boot: b0\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TO_THE_END = HEAD + b"\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def sending(*pieces: bytes, hold: bool = False) -> Callable[[socket.socket], None]:
    """A stream that sends these pieces; then it ends, or stays open until the other side leaves."""

    def send(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.002)
        while hold and connection.recv(1000):
            pass
        connection.close()

    return send


class Listening:
    """One session that opens a stream and receives until it ends, or nothing comes for a while."""

    def __init__(
        self, *actions: Callable[[socket.socket], None] | bytes, opened: int = 1, timeout: float = 0.3
    ) -> None:
        self.opened: list[int] = []
        self.received: list[Response] = []
        with nothing_left_open(), scripted(*actions) as server:
            self.server: Scripted = server
            self.driven: Driven = drive(server.url, Visitor(lambda client: self._session(client, opened)))
        self.rows = self.driven.records
        self.methods = [Method(row).name for row in self.rows["method"].tolist()]

    def _session(self, client: Client, opened: int) -> SessionSteps:
        for _ in range(opened):
            self.opened.append((yield client.stream("/events?room=1", room="lobby")).status)
            while (event := (yield client.receive(0.3))).status == 200:
                self.received.append(event)
        yield client.disconnect()

    @property
    def events(self) -> list[tuple[bytes, str, str]]:
        return [(event.body, event.headers["event"], event.headers["id"]) for event in self.received]


@pytest.mark.parametrize("begin", [CHUNKED, TO_THE_END])
def test_events_come_one_by_one_while_the_response_goes_on(begin: bytes) -> None:
    def framed(data: bytes) -> bytes:
        return chunk(data) if begin is CHUNKED else data

    stream = [begin + framed(b"data: a\n\n"), framed(b"event: cart\nid: 7\nda"), framed(b"ta: b\n\n")]
    seen = Listening(sending(*stream, hold=True))
    assert seen.opened == [200]
    assert seen.events == [(b"a", "message", ""), (b"b", "cart", "7")]
    assert seen.methods == ["OPEN", "RECEIVE", "RECEIVE", "CLOSE"]
    assert {event.replica for event in seen.received} == {"r0"}
    assert header(seen.server.requests[0], "Accept") == "text/event-stream"
    assert header(seen.server.requests[0], "Last-Event-ID") is None


@pytest.mark.parametrize(
    ("begin", "end", "outcome"),
    [
        (CHUNKED, b"0\r\n\r\n", Outcome.OK),
        (CHUNKED, b"", Outcome.IN_DOUBT),
        (CHUNKED, b"no chunk\r\n", Outcome.IN_DOUBT),
        (TO_THE_END, b"", Outcome.OK),
    ],
)
def test_a_stream_that_ends_differs_from_one_that_breaks(begin: bytes, end: bytes, outcome: Outcome) -> None:
    event = b"data: a\n\n"
    seen = Listening(sending(begin + (chunk(event) if begin is CHUNKED else event), end))
    assert [event.body for event in seen.received] == [b"a"]
    assert (seen.methods[-1], Outcome(seen.rows["outcome"][-1])) == ("CLOSE", outcome)


def test_a_stream_is_resumed_behind_its_last_event() -> None:
    first, second = sending(TO_THE_END + b"id: 7\ndata: a\n\n"), sending(TO_THE_END + b"data: b\n\n")
    seen = Listening(first, second, opened=2)
    assert [event.body for event in seen.received] == [b"a", b"b"]
    assert [header(request, "Last-Event-ID") for request in seen.server.requests] == [None, "7"]


@pytest.mark.parametrize("event", [b"data: " + bytes(300_000), b"data: " + bytes(300_000) + b"\n\n"])
def test_a_stream_that_brings_more_than_the_process_may_hold_ends_and_gives_it_back(event: bytes) -> None:
    statuses: list[int] = []

    def session(client: Client) -> SessionSteps:
        statuses.append((yield client.stream("/events")).status)
        statuses.append((yield client.receive(2.0)).status)

    with nothing_left_open(), scripted(sending(TO_THE_END + event, hold=True)) as server:
        rig = Rig(server.url)
        rig.event_loop.reply_memory.limit = 250_000
        rig.visit(Visitor(session))
        assert rig.event_loop.reply_memory.used == 0
        rig.close()
    assert statuses == [200, 0]


@pytest.mark.parametrize("last", ["caf\u00e9", "\u2028", "\x1b[31m"])
def test_a_stream_is_resumed_behind_an_event_with_any_id(last: str) -> None:
    first = sending(TO_THE_END + f"id: {last}\ndata: a\n\n".encode())
    seen = Listening(first, sending(TO_THE_END + b"data: b\n\n"), opened=2)
    assert [event.body for event in seen.received] == [b"a", b"b"]
    assert header(seen.server.requests[1], "Last-Event-ID") == last


def test_an_event_that_is_nested_very_deeply_is_one_event() -> None:
    deep = b'{"params": ' + b"[" * 100_000
    seen = Listening(sending(TO_THE_END + b"data: " + deep + b"\n\ndata: b\n\n"))
    assert [event.body for event in seen.received] == [deep, b"b"]


def test_a_stream_of_a_known_length_is_a_stream_though_its_head_was_seen_before() -> None:
    answer = HEAD + b"Content-Length: 9\r\n\r\ndata: a\n\n"
    bodies: list[bytes] = []

    def session(client: Client) -> SessionSteps:
        for _ in range(2):
            yield client.get("/events")
        yield client.stream("/events")
        bodies.append((yield client.receive(1.0)).body)

    with nothing_left_open(), scripted(otherwise=lambda request: answer) as server:
        drive(server.url, Visitor(session))
    assert bodies == [b"a"]


@pytest.mark.parametrize(
    ("answer", "status", "outcome"),
    [
        (reply(404), 404, Outcome.FAILED),
        (reply(200), 0, Outcome.IN_DOUBT),  # no event stream
        (reply(503, replica=""), 503, Outcome.IN_DOUBT),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 0, Outcome.IN_DOUBT),
    ],
)
def test_an_answer_that_is_no_stream_ends_the_step(answer: bytes, status: int, outcome: Outcome) -> None:
    seen = Listening(answer)
    assert (seen.opened, seen.received) == ([status], [])
    assert Outcome(seen.rows["outcome"][0]) is outcome


def test_an_op_is_found_wherever_a_message_has_it() -> None:
    op = "00000000000000ff"
    assert envelope(f'{{"op":"{op}"}}'.encode())[0] == 255
    assert envelope(f'{{"method":"notify","params":{{"op": "{op}"}}}}'.encode())[0] == 255
    assert envelope(f'42["say",{{"op":"{op}"}}]'.encode())[0] == 255
    assert envelope(b"tick")[0] == 0


@pytest.mark.slow  # it takes seconds
def test_messages_over_a_stream_are_judged_as_those_over_a_websocket() -> None:
    """Of three messages, one never arrives, one arrives twice, and the last two change places."""
    ops = [f"{operation(1, 1, i):016x}" for i in (1, 2, 3)]
    event = b'data: {"op":"%b"}\n\n'
    delivered = [event % ops[index].encode() for index in (2, 1, 1)]

    def speak(client: Client) -> SessionSteps:
        yield client.stream("/events", room="lobby")
        yield Sleep(0.1)
        for _ in range(3):
            yield client.post("/say", json={"op": OP}, writes="hi", reads=lambda reply: None, to_room=True)
        yield Sleep(0.3)
        yield client.disconnect()

    def hear(client: Client) -> SessionSteps:
        yield client.stream("/events?hear", room="lobby")
        yield client.listen(1.0)
        yield client.disconnect()

    def answer(request: bytes) -> bytes | Callable[[socket.socket], None]:
        if request.startswith(b"POST"):
            assert request.rpartition(b"\r\n")[2].decode() in {f'{{"op":"{op}"}}' for op in ops}
            return reply()
        begin = TO_THE_END
        if b"?hear" not in request:
            return sending(begin, hold=True)
        time.sleep(0.05)
        return sending(begin, *([b""] * 100), *delivered, hold=True)

    with scripted(otherwise=answer) as server:
        driven = drive(server.url, Visitor(speak), Visitor(hear))
    rows = pd.DataFrame(driven.records)
    rows["method"] = [Method(number).name for number in rows["method"]]
    rows["outcome"] = [Outcome(number).name.lower() for number in rows["outcome"]]
    rows["t_end"] -= 3_000_000_000 * (rows["method"] == "SEND")  # long enough ago to be due
    rows["t_sent"] -= 3_000_000_000 * (rows["method"] == "SEND")
    rows["t_end"] -= 4_000_000_000 * (rows["method"] == "OPEN")
    rooms = {session.number: session.ledger.history().room for session in driven.sessions}
    (_, received) = judge_deliveries(rows, rooms)
    assert (received.due, received.lost, received.repeated, received.disordered) == (3, 1, 1, 1)
