"""A session's WebSocket or event stream: its generator's steps that concern it, and the messages that come unasked.

A message that awaits an answer is an exchange like a request: classified, settled with the ledger and recorded.
Everything else that comes is recorded when it comes, whether the session listens or not, and is kept for it to receive.
"""

import re
from collections.abc import Callable
from typing import Protocol

import msgspec
from wsproto.utilities import generate_accept_token, generate_nonce

from harness.load.http.client import Client, Connect, Disconnect, Listen, Message, Subscribe
from harness.load.http.event_loop import Connection, Failure
from harness.load.http.event_stream import EventStream
from harness.load.http.response import NO_RESPONSE, Head, Response
from harness.load.http.server_sent_events import ServerSentEvent
from harness.load.http.websocket import WebSocket
from harness.load.http.wire import STREAM, UPGRADE
from harness.load.sessions.behaviour import Behaviour
from harness.load.sessions.carriers import Sendable
from harness.load.sessions.classifier import Classifier
from harness.load.sessions.context import LoadContext
from harness.load.sessions.inbox import Inbox
from harness.load.sessions.records import MessageTiming, RecordKey
from harness.load.sessions.scheduling import Workload
from harness.load.sessions.stand_in import StandIn
from harness.observations.requests import LOAD, UNSOLICITED, Anomaly, Method, Outcome
from harness.oracle.ledger import Ledger

SocketStep = Connect | Subscribe | Message | Listen | Disconnect
QUIET = 204
#: Codes of a closing handshake that report no error: done, going away, none given.
_NORMAL_CLOSE_CODES = (1000, 1001, 1005)


class WebSocketOwner(Protocol):
    """The session that a WebSocket belongs to, as far as its WebSocket knows it."""

    context: LoadContext
    client: Client
    user: Behaviour
    ledger: Ledger
    classifier: Classifier
    workload: Workload
    retired: bool
    requests: int

    def lines_for(self, path: str, now: int) -> bytes:
        """The headers that are the session's own, for a request of ``path``."""

    def place_ids(self, step: Sendable) -> Sendable:
        """The step with the ids that do not travel in a header."""

    def take_cookies(self, reply: Response, path: str, now: int) -> None:
        """Let the Set-Cookie headers of the reply to a request for ``path`` change the jar."""

    def understand_failure(self, op: int, sent: int, t_end: int) -> tuple[Outcome, Anomaly]:
        """What it means that no reply came, or none that can be understood."""

    def record_websocket_event(  # noqa: PLR0917 - as ``record``
        self,
        key: RecordKey,
        op: int,
        reply: Response,
        outcome: Outcome,
        anomaly: Anomaly,
        phase: int,
        times: tuple[int, int],
        timing: Connection | MessageTiming,
    ) -> None:
        """Record a message, or the beginning or end of the WebSocket."""

    def resume(self, reply: Response, now: int) -> None:
        """Give the generator the result of its step."""

    def end(self, now: int) -> None:
        """End the session."""


class _Envelope(msgspec.Struct, gc=False):
    """What the harness reads of a message (docs/wire.md)."""

    op: str = ""
    status: int = 101


#: The id of a write somewhere inside a message, such as in the parameters of a JSON-RPC notification.
_INNER_OP = re.compile(rb'"op"\s*:\s*"([0-9a-f]{16})"')
_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def envelope(data: bytes) -> tuple[int, int]:
    """The operation id that a message names (0: none) and the status it reports (101: all is well)."""
    try:
        fields = _decode_envelope(data)
        op = int(fields.op, 16) & 2**64 - 1 if fields.op else 0
    except (ValueError, RecursionError):  # no JSON, or nested too deeply
        fields, op = _Envelope(), 0
    if not op and (inner := _INNER_OP.search(data)):
        op = int(inner[1], 16)
    return op, fields.status if 0 < fields.status < 1000 else 101


def _origin_of(reply: Response) -> list[tuple[bytes, bytes]]:
    """The headers that say which replica answered."""
    return [(b"x-replica", reply.replica.encode()), (b"x-boot", reply.boot.encode())]


class WebSocketSession(StandIn[WebSocketOwner]):
    """The WebSocket of one session. It acts in place of the session, so a workload treats it as one."""

    def __init__(self, session: WebSocketOwner) -> None:
        self.session = session
        self.t_intended = 0
        self._connection: Connection | None = None  # while the upgrade is under way
        self._socket: WebSocket | EventStream | None = None
        self._step: SocketStep | None = None
        self._op = self._turn = 0
        self._awaiting = self._listening = self._had_socket = False
        self._timing = MessageTiming(0)
        self._key = self._path = self._last_event_id = ""
        self._head = Head(b"", 101, [])  # of every message of the connection
        self._unread = Inbox()

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._connection is not None or self._awaiting

    @property
    def _context(self) -> LoadContext:
        return self.session.context

    def take(self, step: SocketStep, now: int) -> None:
        """Take a step of the session's generator."""
        self._step = step
        if isinstance(step, Connect | Subscribe | Message):
            self.session.workload.schedule(self, now)
        elif isinstance(step, Listen):
            self._listen(step, now)
        else:
            self.leave(now)
            self._resume_soon(Response(self._head, QUIET, b""))

    def wake(self, now: int) -> None:
        """Send after a rest, for which the time is now."""
        self.send(now)

    def send(self, now: int) -> None:
        """Open the WebSocket or send the message, as the session's generator asked."""
        context, session = self._context, self.session
        if context.stopping or session.retired:
            return
        context.sent += 1
        session.requests += 1
        try:
            if isinstance(self._step, Connect | Subscribe):
                self._open(self._step, now)
            elif isinstance(self._step, Message):
                self._send_message(self._step, now)
        except ValueError as problem:
            context.log_once("a step on a WebSocket or event stream cannot be sent", problem)
            session.end(now)

    # Opening

    def _open(self, step: Connect | Subscribe, now: int) -> None:
        self.leave(now)
        path = step.path.partition("?")[0]
        if path != self._path:
            self._path, self._last_event_id = path, ""
        lines, encoder = self.session.lines_for(step.path, now), self._context.encoder
        if isinstance(step, Subscribe) and self._last_event_id:
            lines += b"Last-Event-ID: %b\r\n" % self._last_event_id.encode()  # which may hold any text, as in browsers
        if isinstance(step, Connect):
            self._key = generate_nonce().decode()
            method, data = UPGRADE, encoder.encode_upgrade(self.session.place_ids(step), lines, self._key)
        else:
            method = STREAM
            data = encoder.encode(self.session.place_ids(step).request(), lines)
        self._connection = Connection(self._context.event_loop, self, round(self.user.timeout * 1e9))
        self._connection.send(data, method, False, now)

    def on_response(self, reply: Response, t_end: int) -> None:
        """Take the answer: the WebSocket or stream is open, or the reply says why it is not."""
        connection, session, step = self._connection, self.session, self._step
        assert connection is not None  # noqa: S101 - it answers the request to open
        assert isinstance(step, Connect | Subscribe)  # noqa: S101 - that is what opens
        surplus = b""
        if reply.status == 101 or (reply.status == 200 and isinstance(step, Subscribe)):
            surplus = self._take_socket(connection, reply)
            if self._socket is None:
                self.on_failure(Failure.PROTOCOL_ERROR, t_end)
                return
            session.ledger.room = step.room
        try:
            if reply.head.cookies:
                session.take_cookies(reply, step.path, t_end)
            outcome, anomaly = session.classifier.classify(step, 0, reply, t_end)
        except Exception as problem:  # whatever a service sends, it ends no more than this exchange
            self._context.log_once("a reply cannot be understood", problem)
            self.on_failure(Failure.PROTOCOL_ERROR, t_end)
            return
        self._finish(reply, outcome, anomaly, t_end, surplus=surplus)

    def _take_socket(self, connection: Connection, reply: Response) -> bytes:
        """Take over the connection, if it is now a WebSocket or a stream; returns what followed the response."""
        loop, origin = self._context.event_loop, _origin_of(reply)
        if reply.status == 200:
            if not reply.head.opens_stream:
                return b""
            sock, surplus = connection.detach()
            self._socket = EventStream(loop, sock, reply.head, self)
        else:
            sock, surplus = connection.detach()
            if reply.headers.get("sec-websocket-accept", "").encode() != generate_accept_token(self._key.encode()):
                sock.close()
                return b""
            self._socket = WebSocket(loop, sock, self)
        self._head = Head(b"", reply.status, origin)
        return surplus

    def on_head(self, reply: Response, now: int) -> None:
        """Nothing is done before the whole answer is there."""

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Record that the upgrade got no answer."""
        assert self._connection is not None  # noqa: S101 - the upgrade was under way
        outcome, anomaly = self.session.understand_failure(0, self._connection.sent, t_end)
        self._finish(NO_RESPONSE, outcome, anomaly, t_end, failure=failure.value)

    # Sending

    def _send_message(self, message: Message, now: int) -> None:
        self._op = self.session.ledger.write(message.writes) if message.writes is not None else 0
        self._timing = MessageTiming(now)
        if not isinstance(self._socket, WebSocket):  # later, since the session may send again at once
            self._call_soon(lambda later: self._fail(Failure.UNSENT, later))
            return
        self._timing.sent = self._socket.send(message.encode(self._op), message.text)
        if message.writes is None and message.answer is None:
            self._call_soon(lambda later: self._finish(NO_RESPONSE, Outcome.OK, Anomaly.NONE, later))
            return
        self._awaiting = True
        self._context.event_loop.in_flight += 1
        turn = self._turn = self._turn + 1
        deadline = now + round(self.user.timeout * 1e9)
        self._context.event_loop.call_at(deadline, lambda later: self._on_answer_timeout(turn, later))

    def _on_answer_timeout(self, turn: int, now: int) -> None:
        if self._awaiting and turn == self._turn:
            self.leave(now)
            self._fail(Failure.TIMED_OUT, now)

    def _fail(self, failure: Failure, now: int) -> None:
        """Record that the message got no answer."""
        outcome, anomaly = self.session.understand_failure(self._op, self._timing.sent, now)
        self._finish(NO_RESPONSE, outcome, anomaly, now, failure=failure.value)

    # Receiving

    def on_message(self, data: bytes, size: int, t_first: int, now: int) -> None:
        """Take a message: the answer that is awaited, or one that was not asked for."""
        op, status = envelope(data)
        reply, step = Response(self._head, status, data), self._step
        if self._awaiting and isinstance(step, Message) and self._is_answer(step, reply, op):
            self._timing.t_first, self._timing.received = t_first, size
            outcome, anomaly = self.session.classifier.classify(step, self._op, reply, now)
            self._finish(reply, outcome, anomaly, now)
        else:
            self._take_unasked(reply, op, MessageTiming(now, 0, size, t_first), now)

    def on_event(self, event: ServerSentEvent, size: int, t_first: int, now: int) -> None:
        """Take an event of the stream."""
        self._last_event_id = event.id
        about = [(b"event", event.event.encode()), (b"id", event.id.encode())]
        reply = Response(Head(b"", 200, [*_origin_of(Response(self._head, 200, b"")), *about]), 200, event.data)
        self._take_unasked(reply, envelope(event.data)[0], MessageTiming(now, 0, size, t_first), now)

    def _is_answer(self, message: Message, reply: Response, op: int) -> bool:
        if message.answer is None:
            return op == self._op
        try:
            return message.answer(reply)
        except Exception as problem:
            self._context.log_once("answer raised", problem)
            return False

    def _take_unasked(self, reply: Response, op: int, timing: MessageTiming, now: int) -> None:
        if op:  # it may be due to this session; a message without an id, such as a game's tick, never is
            self._context.last_peer_message = now
        self.session.client.latest = reply
        self._record(Method.RECEIVE, reply, Outcome.OK, now, timing=timing, op=op)
        self._unread.put(reply)
        if self._listening and isinstance(self._step, Listen) and self._step.once:
            self._listening = False
            self._resume_soon(self._unread.take())

    # Closing

    def on_close(self, code: int, now: int) -> None:
        """The peer has closed the connection: an awaited answer is in doubt, and a session that listens goes on."""
        self._close(Outcome.OK if code in _NORMAL_CLOSE_CODES else Outcome.IN_DOUBT, now, code)
        if self._awaiting:
            self._fail(Failure.RESET, now)
        elif self._listening:
            self._listening = False
            self._resume_soon(NO_RESPONSE)

    def leave(self, now: int) -> None:
        """Leave the WebSocket by a closing handshake, if there is one."""
        if self._socket is not None:
            self._socket.start_closing()
            self._close(Outcome.OK, now)

    def _close(self, outcome: Outcome, now: int, code: int = 0) -> None:
        self._socket = None
        self._record(Method.CLOSE, Response(self._head, code, b""), outcome, now, timing=MessageTiming(now))

    def abandon(self, now: int) -> None:
        """End what is under way as if its time were up."""
        if self._connection is not None:
            self._connection.abandon(now)
        elif self._awaiting:
            self._on_answer_timeout(self._turn, now)

    # Listening

    def _listen(self, step: Listen, now: int) -> None:
        if not step.once:
            self._unread.clear()
        if step.once and self._unread:
            self._resume_soon(self._unread.take())
        elif self._socket is None:
            self._resume_soon(NO_RESPONSE)
        else:
            self._listening = True
            turn = self._turn = self._turn + 1
            deadline = now + round(step.seconds * 1e9)
            self._context.event_loop.call_at(deadline, lambda later: self._on_listen_timeout(turn, later))

    def _on_listen_timeout(self, turn: int, now: int) -> None:
        if self._listening and turn == self._turn:
            self._listening = False
            self.session.resume(Response(self._head, QUIET, b""), now)

    # Going on

    def _call_soon(self, call: Callable[[int], None]) -> None:
        self._context.event_loop.call_at(0, call)

    def _resume_soon(self, reply: Response) -> None:
        """Resume the session in the event loop's next turn: it may ask for the next message at once."""
        self._call_soon(lambda now: self.session.resume(reply, now))

    def _finish(
        self, reply: Response, outcome: Outcome, anomaly: Anomaly, now: int, *, failure: str = "", surplus: bytes = b""
    ) -> None:
        """Record an exchange that is over, and go on. ``surplus`` came behind the answer to the upgrade."""
        method, timing = self._end_exchange()
        self._record(method, reply, outcome, now, timing=timing, op=self._op, anomaly=anomaly)
        hook = self._context.request_hook
        if hook is not None:
            error = "" if outcome is Outcome.OK else failure or f"status {reply.status}"
            hook(method.name, self._name(method), reply if reply.status else None, error, (timing.t_sent, now))
        if surplus and self._socket is not None:
            self._socket.receive(surplus, now)
        self.session.resume(reply, now)

    def _end_exchange(self) -> tuple[Method, Connection | MessageTiming]:
        """Mark the exchange as over; returns what it was, and its times."""
        if self._awaiting:
            self._awaiting = False
            self._context.event_loop.in_flight -= 1
        connection = self._connection
        if connection is None:
            return (Method.SEND if isinstance(self._step, Message) else Method.OPEN), self._timing
        connection.reconnected = int(self._had_socket)
        self._had_socket = self._had_socket or self._socket is not None
        self._connection, self._op = None, 0
        return Method.OPEN, connection

    def _name(self, method: Method) -> str:
        step = self._step
        given = (
            step.name
            if isinstance(step, Connect | Subscribe | Message) and method in (Method.OPEN, Method.SEND)
            else ""
        )
        return given or f"{method.name} {self._path}"

    def _record(
        self,
        method: Method,
        reply: Response,
        outcome: Outcome,
        now: int,
        *,
        timing: Connection | MessageTiming,
        op: int = 0,
        anomaly: Anomaly = Anomaly.NONE,
    ) -> None:
        """Record a message, or the beginning or end of the WebSocket."""
        asked = method in (Method.OPEN, Method.SEND)
        phase, t_intended = (LOAD, self.t_intended) if asked else (UNSOLICITED, now)
        key = RecordKey(self._context.names.intern("name", self._name(method)), method)
        self.session.record_websocket_event(key, op, reply, outcome, anomaly, phase, (t_intended, now), timing)
