"""A session's WebSocket: the steps of its generator that are about it, and what it brings unasked.

A message that awaits an answer is an exchange like a request: settled with the ledger and recorded. Everything else
that comes is recorded when it comes, whether the session listens or not, and is kept for it to receive.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from wsproto.utilities import generate_accept_token, generate_nonce

from harness.load.http.client import Connect, Disconnect, Listen, Message
from harness.load.http.event_loop import Connection, Failure
from harness.load.http.response import NO_RESPONSE, Head, Response
from harness.load.http.websocket import WebSocket
from harness.load.http.wire import UPGRADE
from harness.observations.requests import LOAD, NO_TIME, UNASKED, Anomaly, Method, Outcome

if TYPE_CHECKING:
    from harness.load.sessions.session import Behaviour, LoadContext, Session

Step = Connect | Message | Listen | Disconnect
#: Messages kept for a session that does not receive them; then the oldest go.
MAX_KEPT = 1000
QUIET = 204
#: Codes of a closing handshake that tells no error: done, going away, none given.
_IN_ORDER = (1000, 1001, 1005)


class _Envelope(msgspec.Struct, gc=False):
    """What the harness reads of a message (docs/wire.md)."""

    op: str = ""
    status: int = 101


_read = msgspec.json.Decoder(_Envelope).decode


def envelope(data: bytes) -> tuple[int, int]:
    """The operation id that a message names (0: none) and the status it tells (101: it is well)."""
    try:
        told = _read(data)
        return (int(told.op, 16) & 2**64 - 1 if told.op else 0), (told.status if 0 < told.status < 1000 else 101)
    except ValueError:
        return 0, 101


class MessageTiming:
    """What is recorded of one message, by the names that a lane has for it."""

    __slots__ = ("attempts", "received", "reconnected", "sent", "t_first", "t_sent")

    def __init__(self, now: int, sent: int = 0, received: int = 0, t_first: int = NO_TIME) -> None:
        self.attempts, self.reconnected = 1, 0
        self.t_sent, self.t_first = now, t_first
        self.sent, self.received = sent, received


class WebSocketSession:
    """The WebSocket of one session. To the crowd it is what acts: it has a session's part in that."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.t_intended = 0
        self._lane: Connection | None = None  # while the upgrade is under way
        self._socket: WebSocket | None = None
        self._step: Step | None = None
        self._op = self._turn = 0
        self._awaiting = self._listening = self._had = False
        self._trace = MessageTiming(0)
        self._key, self._path = "", ""
        self._head = Head(b"", 101, [])  # of every message of the connection
        self._waiting: deque[Response] = deque(maxlen=MAX_KEPT)

    @property
    def user(self) -> "Behaviour":
        """The session's user."""
        return self.session.user

    @property
    def retired(self) -> bool:
        """Whether its user has left."""
        return self.session.retired

    @property
    def requests(self) -> int:
        """How much the session has sent so far."""
        return self.session.requests

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._lane is not None or self._awaiting

    @property
    def _stage(self) -> "LoadContext":
        return self.session.stage

    def take(self, step: Step, now: int) -> None:
        """Do as the session's generator says."""
        self._step = step
        if isinstance(step, Connect | Message):
            self.session.crowd.ready(self, now)
        elif isinstance(step, Listen):
            self._listen(step, now)
        else:
            self.leave(now)
            self._soon(Response(self._head, QUIET, b""))

    def wake(self, now: int) -> None:
        """Send after a rest, for which the time is now."""
        self.send(now)

    def send(self, now: int) -> None:
        """Open, or send, what the session's generator asked for."""
        stage, session = self._stage, self.session
        if stage.stopping or session.retired:
            return
        stage.sent += 1
        session.requests += 1
        try:
            if isinstance(self._step, Connect):
                self._open(self._step, now)
            elif isinstance(self._step, Message):
                self._say(self._step, now)
        except ValueError as problem:
            stage.complain("a step on a WebSocket cannot be sent", problem)
            session.end(now)

    # Opening

    def _open(self, asked: Connect, now: int) -> None:
        self.leave(now)
        self._key = generate_nonce().decode()
        data = self._stage.encoder.encode_upgrade(asked, self.session.lines, self._key)
        self._path = asked.path.partition("?")[0]
        self._lane = Connection(self._stage.engine, self, round(self.user.timeout * 1e9))
        self._lane.send(data, UPGRADE, False, now)

    def on_response(self, reply: Response, t_end: int) -> None:
        """The upgrade is answered: the WebSocket stands, or the reply says why not."""
        lane, session, asked = self._lane, self.session, self._step
        assert lane is not None and isinstance(asked, Connect)  # noqa: S101 - it answers the request to open
        if reply.head.cookies:
            session.take_cookies(reply)
        beyond = b""
        if reply.status == 101:
            sock, beyond = lane.detach()
            if reply.headers.get("sec-websocket-accept", "").encode() != generate_accept_token(self._key.encode()):
                sock.close()
                self.on_failure(Failure.PROTOCOL_ERROR, t_end)
                return
            self._stand(sock, reply)
            session.ledger.room = asked.room
        outcome, anomaly = session.understood(reply, asked, 0, t_end)
        self._finish(reply, outcome, anomaly, t_end, beyond=beyond)

    def _stand(self, sock: object, reply: Response) -> None:
        who = [(b"x-replica", reply.replica.encode()), (b"x-boot", reply.boot.encode())]
        self._head = Head(b"", 101, who)
        self._socket = WebSocket(self._stage.engine, sock, self)

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """No WebSocket: certainly not where nothing was sent."""
        assert self._lane is not None  # noqa: S101 - the upgrade was under way
        outcome = Outcome.IN_DOUBT if self._lane.sent else Outcome.FAILED
        self._finish(NO_RESPONSE, outcome, Anomaly.NONE, t_end, failure=failure.value)

    # Sending

    def _say(self, message: Message, now: int) -> None:
        self._op = self.session.ledger.write(message.writes) if message.writes is not None else 0
        self._trace = MessageTiming(now)
        if self._socket is None:  # later, since the session may send again at once
            self._later(lambda later: self._unanswered(Failure.UNSENT, later))
            return
        self._trace.sent = self._socket.send(message.encode(self._op), message.text)
        if message.writes is None and message.answer is None:
            self._later(lambda later: self._finish(NO_RESPONSE, Outcome.OK, Anomaly.NONE, later))
            return
        self._awaiting = True
        self._stage.engine.in_flight += 1
        turn = self._turn = self._turn + 1
        self._stage.engine.call_at(now + round(self.user.timeout * 1e9), lambda later: self._overdue(turn, later))

    def _overdue(self, turn: int, now: int) -> None:
        if self._awaiting and turn == self._turn:
            self.leave(now)
            self._unanswered(Failure.TIMED_OUT, now)

    def _unanswered(self, failure: Failure, now: int) -> None:
        outcome = Outcome.IN_DOUBT if self._trace.sent else Outcome.FAILED
        anomaly = self.session.settle(self._op, outcome, None, "", now)
        self._finish(NO_RESPONSE, outcome, anomaly, now, failure=failure.value)

    # What comes

    def on_message(self, data: bytes, size: int, t_first: int, now: int) -> None:
        """A message: the answer that is awaited, or one that nobody asked for."""
        op, status = envelope(data)
        reply = Response(self._head, status, data)
        if self._awaiting and self._answers(reply, op):
            self._trace.t_first, self._trace.received = t_first, size
            assert isinstance(self._step, Message)  # noqa: S101 - it is being answered
            outcome, anomaly = self.session.understood(reply, self._step, self._op, now)
            self._finish(reply, outcome, anomaly, now)
            return
        if op:  # what may be due to this session; a game's ticks never end
            self._stage.heard = now
        self.session.client.latest = reply
        self._note(Method.RECEIVE, reply, Outcome.OK, now, trace=MessageTiming(now, 0, size, t_first), op=op)
        self._waiting.append(reply)
        if self._listening and isinstance(self._step, Listen) and self._step.once:
            self._listening = False
            self._soon(self._waiting.popleft())

    def _answers(self, reply: Response, op: int) -> bool:
        message = self._step
        if not isinstance(message, Message) or message.answer is None:
            return op == self._op
        try:
            return message.answer(reply)
        except Exception as problem:
            self._stage.complain("answer raised", problem)
            return False

    def on_close(self, code: int, now: int) -> None:
        """The other side has gone. What awaits an answer is in doubt; a session that listens is told."""
        self._gone(Outcome.OK if code in _IN_ORDER else Outcome.IN_DOUBT, now, code)
        if self._awaiting:
            self._unanswered(Failure.RESET, now)
        elif self._listening:
            self._listening = False
            self._soon(NO_RESPONSE)

    def leave(self, now: int) -> None:
        """Leave the WebSocket, if there is one, and stop opening one."""
        if self._socket is not None:
            self._socket.start_closing()
            self._gone(Outcome.OK, now)

    def _gone(self, outcome: Outcome, now: int, code: int = 0) -> None:
        self._socket = None
        self._note(Method.CLOSE, Response(self._head, code, b""), outcome, now, trace=MessageTiming(now))

    def abandon(self, now: int) -> None:
        """End what is under way as if its time were up."""
        if self._lane is not None:
            self._lane.abandon(now)
        elif self._awaiting:
            self._overdue(self._turn, now)

    # Listening

    def _listen(self, step: Listen, now: int) -> None:
        if not step.once:
            self._waiting.clear()
        if step.once and self._waiting:
            self._soon(self._waiting.popleft())
        elif self._socket is None:
            self._soon(NO_RESPONSE)
        else:
            self._listening = True
            turn = self._turn = self._turn + 1
            self._stage.engine.call_at(now + round(step.seconds * 1e9), lambda later: self._heard_out(turn, later))

    def _heard_out(self, turn: int, now: int) -> None:
        if self._listening and turn == self._turn:
            self._listening = False
            self.session.go_on(Response(self._head, QUIET, b""), now)

    # Going on

    def _later(self, call: Callable[[int], None]) -> None:
        self._stage.engine.call_at(0, call)

    def _soon(self, reply: Response) -> None:
        """Tell the session in the engine's next turn: it may ask for the next message at once."""
        self._later(lambda now: self.session.go_on(reply, now))

    def _finish(
        self, reply: Response, outcome: Outcome, anomaly: Anomaly, now: int, *, failure: str = "", beyond: bytes = b""
    ) -> None:
        """Record an exchange that is over, and go on."""
        step, lane, stage = self._step, self._lane, self._stage
        trace: Connection | MessageTiming = self._trace
        method = Method.OPEN if isinstance(step, Connect) else Method.SEND
        if method is Method.OPEN and lane is not None:
            lane.reconnected, self._had = int(self._had), self._had or self._socket is not None
            self._lane, self._op, trace = None, 0, lane
        if self._awaiting:
            self._awaiting = False
            stage.engine.in_flight -= 1
        self._note(method, reply, outcome, now, trace=trace, op=self._op, anomaly=anomaly)
        if stage.each is not None:
            error = "" if outcome is Outcome.OK else failure or f"status {reply.status}"
            stage.each(method.name, self._name(method), reply if reply.status else None, error, (trace.t_sent, now))
        if beyond and self._socket is not None:
            self._socket.receive(beyond, now)
        self.session.go_on(reply, now)

    def _name(self, method: Method) -> str:
        step = self._step
        own = step.name if isinstance(step, Connect | Message) and method in (Method.OPEN, Method.SEND) else ""
        return own or f"{method.name} {self._path}"

    def _note(
        self,
        method: Method,
        reply: Response,
        outcome: Outcome,
        now: int,
        *,
        trace: Connection | MessageTiming,
        op: int = 0,
        anomaly: Anomaly = Anomaly.NONE,
    ) -> None:
        """Record a message, or what became of the connection."""
        asked = method in (Method.OPEN, Method.SEND)
        phase, t_intended = (LOAD, self.t_intended) if asked else (UNASKED, now)
        kind = (self._stage.names.intern("name", self._name(method)), method)
        self.session.note(kind, op, reply, (outcome, anomaly), phase, (t_intended, now), trace)
