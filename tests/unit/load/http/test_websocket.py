"""Sessions on a WebSocket: what they send, receive and record, and how they handle failures."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wsproto.events import CloseConnection, TextMessage

from harness.common.errors import UsageError
from harness.load.arrivals.workload import ClosedWorkload
from harness.load.http.client import Client, Sleep
from harness.load.http.response import Response
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.websocket_session import envelope
from harness.observations.requests import LOAD, NO_TIME, UNSOLICITED, Anomaly, Method, Outcome
from harness.oracle.ledger import Ledger
from harness.oracle.operations import operation
from tests.support.load import Rig, Shelf, Visitor, drive, header, reply, scripted
from tests.support.websocket import HEADERS, Peer, upgrade_response, upgrade_then
from tests.unit.load.http.test_robust import nothing_left_open

OK, FAILED, IN_DOUBT = Outcome.OK, Outcome.FAILED, Outcome.IN_DOUBT
OPEN, SEND, RECEIVE, CLOSE = (int(method) for method in (Method.OPEN, Method.SEND, Method.RECEIVE, Method.CLOSE))


class DrivenSession:
    """One session against a scripted server side: the responses it received, and what was recorded."""

    def __init__(
        self,
        session: Callable[[Client], SessionSteps],
        talk: Callable[[Peer], None],
        more: bytes = HEADERS,
        timeout: float = 5.0,
    ) -> None:
        self.responses: list[Response] = []
        with nothing_left_open(), scripted(otherwise=upgrade_then(talk, more)) as server:
            driven = drive(server.url, Visitor(self._recording(session), timeout=timeout))
            self.requests = server.requests
        self.context, self.sessions = driven.context, driven.sessions
        self.rows = driven.records
        self.methods = [Method(row).name for row in self.rows["method"].tolist()]
        self.outcomes = driven.outcomes

    def _recording(self, session: Callable[[Client], SessionSteps]) -> Callable[[Client], SessionSteps]:
        def recording(client: Client) -> SessionSteps:
            steps = session(client)
            step = next(steps)
            while True:
                received = yield step
                if not isinstance(step, Sleep):
                    self.responses.append(received)
                try:
                    step = steps.send(received) if not isinstance(step, Sleep) else next(steps)
                except StopIteration:
                    return

        return recording

    def of(self, method: int) -> Any:
        return self.rows[self.rows["method"] == method]


def acknowledging(shelf: Shelf) -> Callable[[Peer], None]:
    """Applies each message that names a write, and answers with the state."""

    def talk(peer: Peer) -> None:
        while True:
            op = json.loads(peer.receive_text())["op"]
            shelf(b"Idempotency-Key: %b" % op.encode())
            peer.send_text(json.dumps({"op": op, **json.loads(shelf.body())}))

    return talk


def say(times: int) -> Callable[[Client], SessionSteps]:
    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat?room=1", room="1")
        for number in range(times):
            yield client.send(json={"text": f"n{number}"}, writes=number)

    return session


def stay_silent(peer: Peer) -> None:
    """Sends nothing until the client closes."""
    while not isinstance(peer.next_event(), CloseConnection):
        pass


def test_a_message_is_an_exchange_of_the_ledger_and_a_record() -> None:
    driven = DrivenSession(say(3), acknowledging(Shelf()))
    assert [response.status for response in driven.responses] == [101] * 4
    assert driven.methods == ["OPEN", "SEND", "SEND", "SEND", "CLOSE"] and driven.outcomes == [OK] * 5
    sent = driven.of(SEND)
    assert sent["op"].tolist() == [operation(1, 1, i) for i in (1, 2, 3)]
    assert sent["anomaly"].tolist() == [Anomaly.NONE] * 3 and sent["status"].tolist() == [101] * 3
    assert (sent["t_intended"] <= sent["t_sent"]).all() and (sent["t_sent"] <= sent["t_first"]).all()
    assert (sent["t_first"] <= sent["t_end"]).all()
    assert (sent["bytes_sent"] > 20).all() and (sent["bytes_received"] > 100).all()
    history = driven.sessions[0].ledger.history()
    assert (history.acknowledged, history.room) == (3, "1")


def test_the_upgrade_carries_the_session_and_its_reply_says_who_answered() -> None:
    def session(client: Client) -> SessionSteps:
        yield client.get("/login")
        yield client.connect("/chat", headers={"X-Room": "7"})
        yield client.send(json={}, writes=1)

    with scripted(
        reply(headers={"Set-Cookie": "session=s1", "set-cookie": "SRV=r0"}),
        otherwise=upgrade_then(acknowledging(Shelf()), HEADERS + b"Set-Cookie: SRV=r9\r\n"),
    ) as server:
        driven = drive(server.url, Visitor(session))
        upgrade = server.requests[1]
    assert header(upgrade, "Cookie") == "session=s1; SRV=r0"
    assert (header(upgrade, "X-User"), header(upgrade, "X-Room"), header(upgrade, "Connection")) == (
        "u1",
        "7",
        "Upgrade",
    )
    assert driven.sessions[0].jar.names() == ["session", "SRV"]
    names = driven.context.names
    assert {names.lookup("replica", row) for row in driven.records["replica"]} == {"r0"}
    assert {names.lookup("boot", row) for row in driven.records["boot"]} == {"r0-boot"}


def test_an_unsolicited_message_is_recorded_on_arrival_and_kept_until_it_is_received() -> None:
    def talk(peer: Peer) -> None:
        peer.send_text('{"op": "00000000000000ff", "text": "one"}')
        op = json.loads(peer.receive_text())["op"]
        peer.send_text("two, no JSON")
        peer.send_text(json.dumps({"op": op}))
        stay_silent(peer)

    latest: list[Response | None] = []

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        yield client.send(json={}, writes=1)
        latest.append(client.latest)
        for _ in range(3):
            yield client.receive(timeout=0.05)

    driven = DrivenSession(session, talk)
    assert [response.body for response in driven.responses[2:]] == [
        b'{"op": "00000000000000ff", "text": "one"}',
        b"two, no JSON",
        b"",
    ]
    assert [response.status for response in driven.responses] == [101, 101, 101, 101, 204]
    assert latest[0] is not None and latest[0].body == b"two, no JSON"
    received = driven.of(RECEIVE)
    assert driven.context.last_peer_message == received["t_end"][0] + driven.context.t0, (
        "a message that no user sent is not waited for in the end"
    )
    assert received["op"].tolist() == [0xFF, 0] and received["phase"].tolist() == [UNSOLICITED] * 2
    assert driven.of(SEND)["phase"].tolist() == [LOAD]


def test_listening_receives_all_messages_until_its_time_is_over() -> None:
    def talk(peer: Peer) -> None:
        for number in range(50):
            peer.send_text(str(number))
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        while client.latest is None or client.latest.body != b"49":
            yield client.listen(0.05)

    driven = DrivenSession(session, talk)
    assert {response.status for response in driven.responses[1:]} == {204} and len(driven.of(RECEIVE)) == 50


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda peer: peer.close(), OK),
        (lambda peer: peer.close(1011), IN_DOUBT),
        (lambda peer: peer.connection.close(), IN_DOUBT),
        (lambda peer: peer.reset(), IN_DOUBT),
        (lambda peer: peer.connection.sendall(b"\xff\xff\xff\xff"), IN_DOUBT),
        (lambda peer: peer.connection.sendall(b"\x81\x03\xc3\x28\xff"), IN_DOUBT),
        (lambda peer: peer.connection.sendall(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), IN_DOUBT),
        (lambda peer: peer.connection.sendall(b"\x80\x01a"), IN_DOUBT),
        (lambda peer: peer.connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), IN_DOUBT),
    ],
)
def test_any_end_of_a_connection_is_reported_and_the_session_can_open_another(
    end: Callable[[Peer], object], outcome: Outcome
) -> None:
    ended: list[bool] = []

    def talk(peer: Peer) -> None:
        if ended:
            acknowledging(Shelf())(peer)
        ended.append(True)
        end(peer)
        time.sleep(0.3)  # the client closes after malformed frames, not this side

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        yield client.listen(5)
        yield client.connect("/chat")
        yield client.send(json={}, writes=1)

    driven = DrivenSession(session, talk)
    assert [response.status for response in driven.responses] == [101, 0, 101, 101]
    assert driven.methods == ["OPEN", "CLOSE", "OPEN", "SEND", "CLOSE"]
    assert driven.outcomes == [OK, outcome, OK, OK, OK]
    assert driven.of(OPEN)["reconnected"].tolist() == [0, 1]
    assert [bool(code) for code in driven.of(CLOSE)["status"]] == [True, False], "the second was left by the client"


def test_a_message_that_awaits_its_answer_is_in_doubt_if_the_connection_breaks() -> None:
    def talk(peer: Peer) -> None:
        peer.receive_text()
        peer.reset()

    driven = DrivenSession(say(2), talk)
    assert driven.methods == ["OPEN", "CLOSE", "SEND", "SEND"]
    assert driven.outcomes == [OK, IN_DOUBT, IN_DOUBT, FAILED], "the second was never sent"
    history = driven.sessions[0].ledger.history()
    assert (history.in_doubt, history.failed) == ((1,), ((2, 2),))


@pytest.mark.slow  # it takes seconds
def test_a_message_without_an_answer_in_time_is_in_doubt_and_the_connection_is_closed() -> None:
    driven = DrivenSession(say(1), stay_silent, timeout=1.0)
    assert driven.methods == ["OPEN", "CLOSE", "SEND"] and driven.outcomes == [OK, OK, IN_DOUBT]
    assert driven.of(SEND)["t_first"].tolist() == [NO_TIME]


@pytest.mark.parametrize(
    ("status", "outcome", "anomaly"),
    [(503, IN_DOUBT, Anomaly.NONE), (409, FAILED, Anomaly.NONE), (401, FAILED, Anomaly.FORCED_LOGIN)],
)
def test_the_status_in_an_answer_counts_as_the_status_of_a_response(
    status: int, outcome: Outcome, anomaly: Anomaly
) -> None:
    def talk(peer: Peer) -> None:
        peer.send_text(json.dumps({"op": json.loads(peer.receive_text())["op"], "status": status, "error": "so it is"}))
        stay_silent(peer)

    driven = DrivenSession(say(1), talk)
    assert driven.outcomes[1] is outcome and driven.of(SEND)["anomaly"].tolist() == [anomaly]
    assert driven.responses[1].status == status


def test_an_answer_can_show_that_state_was_lost() -> None:
    births = iter(["b1", "b2"])

    def talk(peer: Peer) -> None:
        op = json.loads(peer.receive_text())["op"]
        shelf = Shelf(next(births))
        shelf(b"Idempotency-Key: %b" % op.encode())
        peer.send_text(json.dumps({"op": op, **json.loads(shelf.body())}))

    def session(client: Client) -> SessionSteps:
        for _ in range(2):
            yield client.connect("/chat")
            yield client.send(json={}, writes=1)

    assert DrivenSession(session, talk).of(SEND)["anomaly"].tolist() == [Anomaly.NONE, Anomaly.LOST]


def test_check_reads_and_answer_of_the_scenario_are_called() -> None:
    def talk(peer: Peer) -> None:
        assert peer.receive_text() == "ask"
        peer.send_text("noise")
        peer.send_text("answer")
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/any", name="opening")
        yield client.send(
            data="ask",
            answer=lambda reply: reply.body == b"answer",
            check=lambda reply: False,
            reads=lambda reply: None,
            name="asking",
        )

    driven = DrivenSession(session, talk)
    assert driven.responses[1].body == b"answer" and driven.of(SEND)["anomaly"].tolist() == [Anomaly.WRONG]
    named = [driven.context.names.lookup("name", row) for row in driven.rows["name"]]
    assert named == ["opening", "RECEIVE /any", "asking", "CLOSE /any"]


def test_a_message_that_expects_no_answer_ends_when_it_is_sent() -> None:
    texts: list[str] = []

    def talk(peer: Peer) -> None:
        texts.extend(peer.receive_text() for _ in range(500))
        peer.send_text("all")
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/any")
        for number in range(500):
            yield client.send(data=str(number))
        yield client.receive()

    driven = DrivenSession(session, talk)
    assert texts == [str(number) for number in range(500)] and driven.responses[-1].body == b"all"
    assert driven.outcomes[1:501] == [OK] * 500


def test_large_messages_pass_in_both_directions_and_in_several_frames() -> None:
    large = "x" * 3_000_000

    def talk(peer: Peer) -> None:
        peer.send_text(str(len(peer.receive_text())))
        peer.send_in_frames(large, "", "y")
        peer.send_bytes(b"\0\1")
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/any")
        yield client.send(data=large, answer=lambda reply: True)
        yield client.receive()
        yield client.receive()

    driven = DrivenSession(session, talk)
    assert [response.body for response in driven.responses[1:]] == [b"3000000", (large + "y").encode(), b"\0\1"]


def test_a_ping_is_answered_between_two_frames_of_a_message() -> None:
    back: list[bytes] = []

    def talk(peer: Peer) -> None:
        peer.connection.sendall(peer.frames.send(TextMessage(data="a", message_finished=False)))
        back.append(peer.ping(b"there?"))
        peer.send_text("b")
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/any")
        yield client.receive()

    assert DrivenSession(session, talk).responses[1].body == b"ab" and back == [b"there?"]


def test_disconnecting_does_the_closing_handshake_and_a_later_message_is_not_sent() -> None:
    farewell: list[object] = []

    def talk(peer: Peer) -> None:
        farewell.append(peer.next_event())
        peer.connection.sendall(peer.frames.send(CloseConnection(code=1000)))

    def session(client: Client) -> SessionSteps:
        yield client.connect("/any")
        yield client.disconnect()
        yield client.send(json={}, writes=1)
        while not farewell:
            yield Sleep(0.01)

    driven = DrivenSession(session, talk)
    assert driven.methods == ["OPEN", "CLOSE", "SEND"] and driven.outcomes == [OK, OK, FAILED]
    assert isinstance(farewell[0], CloseConnection) and farewell[0].code == 1000


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (reply(404), FAILED, 404),
        (reply(503, replica=""), IN_DOUBT, 503),
        (reply(401), FAILED, 401),
        (reply(200), OK, 200),
        (b"SSH-2.0\r\n", IN_DOUBT, 0),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", IN_DOUBT, 0),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n" + HEADERS + b"\r\n\x81\x01a", IN_DOUBT, 0),
        ("close", IN_DOUBT, 0),
        ("hang", IN_DOUBT, 0),
    ],
)
def test_a_refused_upgrade_is_the_outcome_of_that_request(answer: Any, outcome: Outcome, status: int) -> None:
    statuses: list[int] = []

    def session(client: Client) -> SessionSteps:
        statuses.append((yield client.connect("/chat")).status)
        statuses.append((yield client.get("/next")).status)

    with nothing_left_open(), scripted(answer) as server:
        driven = drive(server.url, Visitor(session, timeout=1.0))
    assert statuses == [status, 200] and driven.outcomes == [outcome, OK]


def test_a_refused_connection_opens_no_websocket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with nothing_left_open():
        driven = drive(f"http://127.0.0.1:{port}", Visitor(say(1)))
    assert driven.outcomes == [FAILED, FAILED] and driven.records["bytes_sent"].tolist() == [0, 0]


SERVED = '{"op": "%s", "text": "grüße"}'


def frames_of(op: str) -> bytes:
    """An answer in two frames, with a ping between them."""
    whole = (SERVED % op).encode()
    return b"\x01\x05" + whole[:5] + b"\x89\x02hi" + b"\x80" + bytes([len(whole) - 5]) + whole[5:]


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_an_answer_and_the_upgrade_may_come_in_any_pieces(step: int) -> None:
    def otherwise(request: bytes) -> Any:
        def act(connection: socket.socket) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(connection)
            data = upgrade_response(request)
            for at in range(0, len(data), step):
                connection.sendall(data[at : at + step])
            data = frames_of(json.loads(peer.receive_text())["op"])
            for at in range(0, len(data), step):
                connection.sendall(data[at : at + step])
            stay_silent(peer)

        return act

    with nothing_left_open(), scripted(otherwise=otherwise) as server:
        driven = drive(server.url, Visitor(say(1)))
    assert driven.outcomes == [OK, OK, OK]


@given(st.integers(0, 60), st.binary(max_size=20), st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_mangled_frame_breaks_only_its_connection(at: int, noise: bytes, cut: bool) -> None:
    def talk(peer: Peer) -> None:
        whole = frames_of(json.loads(peer.receive_text())["op"])
        peer.connection.sendall(whole[:at] + noise + (b"" if cut else whole[at + len(noise) :]))
        time.sleep(0.02)
        peer.connection.close()

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        yield client.send(json={}, writes=1)
        yield client.get("/next")

    with nothing_left_open(), scripted(otherwise=upgrade_then(talk)) as server:
        driven = drive(server.url, Visitor(session))
    load = driven.records[driven.records["phase"] == LOAD]
    assert [Method(row).name for row in load["method"].tolist()] == ["OPEN", "SEND", "GET"]
    assert load["outcome"].tolist()[1] in (OK, IN_DOUBT) and load["outcome"].tolist()[2] == OK


@pytest.mark.parametrize("message", ['{"params": ' + "[" * 100_000, '{"a":' * 100_000])
def test_a_message_that_is_nested_very_deeply_is_one_message(message: str) -> None:
    def talk(peer: Peer) -> None:
        peer.send_text(message)
        peer.send_text("next")
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        for _ in range(2):
            yield client.receive()

    driven = DrivenSession(session, talk)
    assert [response.body for response in driven.responses[1:]] == [message.encode(), b"next"]


def test_an_answer_that_nobody_can_understand_breaks_only_its_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(peer: Peer) -> None:
        peer.send_text(json.dumps({"op": json.loads(peer.receive_text())["op"]}))
        stay_silent(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        yield client.send(json={}, writes=1)
        yield client.get("/cart")

    monkeypatch.setattr("harness.oracle.ledger.Ledger.settle", fail_on_the_first_write())
    driven = DrivenSession(session, talk)
    assert [response.status for response in driven.responses] == [101, 0, 200]
    assert driven.of(SEND)["outcome"].tolist() == [IN_DOUBT]


def test_an_endless_message_ends_its_websocket_and_gives_back_what_it_held() -> None:
    def talk(peer: Peer) -> None:
        with suppress(OSError):
            while True:
                peer.connection.sendall(peer.frames.send(TextMessage(data="x" * 50_000, message_finished=False)))

    statuses: list[int] = []

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        statuses.append((yield client.receive(2.0)).status)

    with nothing_left_open(), scripted(otherwise=upgrade_then(talk)) as server:
        rig = Rig(server.url)
        rig.event_loop.reply_memory.limit = 250_000
        rig.visit(Visitor(session))
        assert rig.event_loop.reply_memory.used == 0
        rig.close()
    assert statuses == [0]


def fail_on_the_first_write() -> Callable[..., Anomaly]:
    """A ledger's ``settle`` that fails as no reply is known to make it fail."""
    settle, failed = Ledger.settle, list[int]()

    def failing(ledger: Ledger, op: int, *rest: Any) -> Anomaly:
        if op and not failed:
            failed.append(op)
            raise OverflowError("a number beyond all numbers")
        return settle(ledger, op, *rest)

    return failing


@given(st.binary(max_size=60))
def test_any_bytes_have_an_envelope(data: bytes) -> None:
    op, status = envelope(data)
    assert 0 <= op < 2**64 and 0 < status < 1000


def test_an_envelope_contains_the_write_and_the_status() -> None:
    assert envelope(b'{"op": "00c0ffee00c0ffee", "status": 503}') == (0x00C0FFEE00C0FFEE, 503)
    assert envelope(b'{"text": "hi"}') == (0, 101)


def test_locusts_listeners_receive_opening_and_sending() -> None:
    events: list[tuple[str, str, int | None, str]] = []

    def each(method: str, name: str, reply: Response | None, error: str, times: tuple[int, int]) -> None:
        assert times[0] <= times[1]
        events.append((method, name, reply.status if reply else None, error))

    def talk(peer: Peer) -> None:
        peer.send_text("unasked")
        acknowledging(Shelf())(peer)

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat?room=1")
        yield client.send(json={}, writes=1)
        yield client.disconnect()
        yield client.send(json={}, writes=2)

    with scripted(otherwise=upgrade_then(talk)) as server:
        rig = Rig(server.url)
        rig.context.request_hook = each
        rig.visit(Visitor(session))
        rig.close()
    assert events == [
        ("OPEN", "OPEN /chat", 101, ""),
        ("SEND", "SEND /chat", 101, ""),
        ("SEND", "SEND /chat", None, "not sent"),
    ]


def test_a_user_who_leaves_closes_the_websocket_and_the_next_session_opens_its_own() -> None:
    gone: list[object] = []

    def talk(peer: Peer) -> None:
        peer.send_text("hello")
        gone.append(peer.next_event())

    def session(client: Client) -> SessionSteps:
        yield client.connect("/chat")
        yield client.receive()
        yield client.listen(600)

    with scripted(otherwise=upgrade_then(talk)) as server:
        rig = Rig(server.url)
        workload, user = ClosedWorkload(rig.registry), Visitor(session)
        workload.join(user, 0)
        workload.start(time.monotonic_ns())
        rig.until(lambda: rig.sessions[0].client.latest is not None)
        assert not rig.sessions[0].busy, "listening is no exchange that is waited for"
        workload.leave(user)
        rig.until(lambda: bool(gone))
        assert isinstance(gone[0], CloseConnection)
        assert [Method(row).name for row in rig.rows()["method"].tolist()] == ["OPEN", "RECEIVE", "CLOSE"]
        rig.close()


def test_an_impossible_message_is_refused_when_it_is_created() -> None:
    client = Client(1)
    for wrong in ({}, {"json": {}, "data": "x"}, {"data": "x", "writes": 1}):
        with pytest.raises(UsageError):
            client.send(**wrong)


def test_a_path_that_cannot_be_sent_ends_the_session_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def session(client: Client) -> SessionSteps:
        yield client.connect("no slash")

    with scripted() as server:
        rig = Rig(server.url)
        rig.visit(Visitor(session))
        rig.close()
    assert "cannot be sent" in caplog.text
