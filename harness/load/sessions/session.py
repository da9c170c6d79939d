"""A session: a generator of requests, its cookies, its ledger.

Steps on a WebSocket are left to its ``WebSocketSession``, so that requests do not wait for them.
"""

from harness.load.http.client import Client, Connect, Disconnect, Listen, Message, Request, Sleep
from harness.load.http.cookies import MAX_COOKIE_BYTES, Cookies
from harness.load.http.event_loop import Connection, Failure
from harness.load.http.redirects import redirected_request
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.sessions.behaviour import Behaviour, SessionSteps, Step
from harness.load.sessions.classifier import Classifier
from harness.load.sessions.context import LoadContext, RequestHook
from harness.load.sessions.records import MessageTiming, RecordKey, record
from harness.load.sessions.request import PreparedRequest
from harness.load.sessions.scheduling import Workload
from harness.load.sessions.websocket_session import WebSocketSession
from harness.observations.requests import LOAD, Anomaly, Outcome
from harness.oracle.ledger import Ledger

_JOIN_INTERVAL_NS = 10_000_000  # ns between two looks at whether the session is there that a second device joins
_OK, _LOST = Outcome.OK, Anomaly.LOST


class Session:
    """One session, from its first request to the final read."""

    __slots__ = (
        "_counted_lost",
        "_first",
        "_lines",
        "_op",
        "_prepared",
        "_steps",
        "_websocket",
        "classifier",
        "client",
        "connection",
        "context",
        "cookies",
        "ledger",
        "number",
        "request",
        "requests",
        "retired",
        "t_intended",
        "user",
        "workload",
    )

    def __init__(
        self, context: LoadContext, number: int, user: Behaviour, workload: Workload, first: "Session | None" = None
    ) -> None:
        """``first`` is the session of which this is another device."""
        self.context = context
        self._first = first
        self.workload = workload
        self._steps: SessionSteps | None = None
        self._websocket: WebSocketSession | None = None
        self._op = 0
        self._counted_lost = False
        self.number = number
        self.user = user
        self.client: Client = Client(number, context.shared_requests, first.client.user if first else "")
        self.cookies = Cookies()
        self.ledger = Ledger(context.seed, number, number, self.client.user, type(user).model)
        self.classifier = Classifier(context, user, self.ledger)
        self.connection = Connection(context.event_loop, self, round(user.timeout * 1e9))
        self.request: Request | None = None
        self.requests = 0  # sent so far
        self.retired = False  # its user has left
        self.t_intended = 0
        self._lines = b""
        self._prepared: PreparedRequest | None = None  # the latest; as good for the same request again
        self._write_lines()

    @property
    def lines(self) -> bytes:
        """The headers that are this session's own."""
        return self._lines

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self.connection.busy or (self._websocket is not None and self._websocket.busy)

    # The generator

    def advance(self, reply: Response | None, now: int) -> None:
        """Ask the generator for its next step, giving it the reply that it waits for (None: it waits for none)."""
        if self._first is not None and not self._join_first_device(self._first):
            self.context.event_loop.call_at(now + _JOIN_INTERVAL_NS, self._on_timer)
            return
        try:
            if self._steps is None:
                self._steps = self.user.session(self.client)
            step = next(self._steps) if reply is None else self._steps.send(reply)
        except StopIteration:
            self.end(now)
        except Exception as problem:
            self.context.log_once("a session raised", problem)
            self.end(now)
        else:
            if type(step) is Request:
                self.request = step
                self.workload.schedule(self, now)
            else:
                self._take_other_step(step, now)

    def _take_other_step(self, step: Step, now: int) -> None:
        """Take a step that is no request."""
        if type(step) is Sleep:
            self.context.event_loop.call_at(now + round(step.seconds * 1e9), self._on_timer)
        elif isinstance(step, Connect | Message | Listen | Disconnect):
            self._websocket = self._websocket or WebSocketSession(self)
            self._websocket.take(step, now)
        else:
            self.context.log_once(f"a session yields requests, Sleep(seconds) or steps on a WebSocket, not {step!r}")
            self.end(now)

    def _join_first_device(self, first: "Session") -> bool:
        """Take the cookies of the first device, once it has any; returns whether it has."""
        if not first.cookies.header_line:
            return False
        self.cookies.copy_from(first.cookies)
        self._write_lines()
        self._first = None
        return True

    def _on_timer(self, now: int) -> None:
        if not (self.context.stopping or self.retired):
            self.advance(None, now)

    def resume(self, reply: Response, now: int) -> None:
        """Give the generator the result of its step on the WebSocket."""
        if self.retired:
            self.close_connections(now)
        elif not self.context.stopping and self._steps is not None:
            self.advance(reply, now)

    def end(self, now: int) -> None:
        """End the session: its generator has no further step."""
        self._steps = None
        self.close_connections(now)
        self.workload.on_session_end(self, now)

    def close_connections(self, now: int) -> None:
        """Close the connection and leave the WebSocket."""
        self.connection.close()
        if self._websocket is not None:
            self._websocket.leave(now)

    def abandon(self, now: int) -> None:
        """End what is under way as if its time were up."""
        self.connection.abandon(now)
        if self._websocket is not None:
            self._websocket.abandon(now)

    # One request

    def wake(self, now: int) -> None:
        """Send after a pause: check first that the connection is still open."""
        self.connection.probe()
        self.send(now)

    def send(self, now: int) -> None:
        """Send the next request; ``t_intended`` was set by the workload."""
        request, context, prepared = self.request, self.context, self._prepared
        if context.stopping or self.retired or request is None:
            return
        if prepared is None or prepared.request is not request or prepared.lines is not self._lines:
            try:
                prepared = self._prepared = context.prepare(request, self._lines)
            except ValueError as problem:
                context.log_once("a request cannot be sent", problem)
                self.end(now)
                return
        context.sent += 1
        self.requests += 1
        if request.writes is None:
            self._op = 0
            data = prepared.plain
        else:
            self._op = self.ledger.write(request.writes)
            data = prepared.write(self._op)
        self.connection.send(data, request.method, prepared.repeatable, now)

    def on_response(self, reply: Response, t_end: int) -> None:
        """Classify and record the reply, then go on. With ``send``, the hot path of every session."""
        request = self.request
        assert request is not None  # noqa: S101 - a reply answers a request
        if reply.head.cookies:
            self.take_cookies(reply)
        if request.follow and 300 <= reply.status < 400 and self._follow_redirect(request, reply, t_end):
            return
        outcome, anomaly = self.classifier.classify(request, self._op, reply, t_end)
        self._finish(reply, outcome, anomaly, t_end)

    def _follow_redirect(self, request: Request, reply: Response, now: int) -> bool:
        """Go where a redirect leads, within the same request; returns whether that was possible."""
        context, redirecting, connection = self.context, self._prepared, self.connection
        assert redirecting is not None  # noqa: S101 - set by ``send``
        hop = (
            redirected_request(redirecting.request, reply, context.origin)
            if redirecting.hops < request.follow
            else None
        )
        if hop is None:
            return False
        try:
            prepared = context.prepare(hop, self._lines)
        except ValueError:
            return False  # no address to go to
        prepared.method, prepared.hops = redirecting.method, redirecting.hops + 1
        self._prepared = prepared
        still_writes = self._op and hop.method == request.method
        data = prepared.write(self._op) if still_writes else prepared.plain
        connection.send(data, hop.method, prepared.repeatable, now, connection.t_sent)
        return True

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Record that no reply came, then go on."""
        outcome, anomaly = self.classifier.classify_failure(self._op, self.connection.sent, t_end)
        self._finish(NO_RESPONSE, outcome, anomaly, t_end, failure.value)

    def _finish(self, reply: Response, outcome: Outcome, anomaly: Anomaly, t_end: int, failure: str = "") -> None:
        context, prepared = self.context, self._prepared
        assert prepared is not None  # noqa: S101 - set by ``send``
        if anomaly is _LOST and not self._counted_lost:
            self._count_lost()
        record(
            context,
            self.number,
            self.connection,
            prepared,
            self._op,
            reply,
            outcome,
            anomaly,
            LOAD,
            self.t_intended,
            t_end,
        )
        if context.request_hook is not None:
            self._call_hook(context.request_hook, reply, outcome, t_end, failure)
        self.request = None
        if self.retired:
            self.connection.close()
        elif not context.stopping:
            self.advance(reply, t_end)

    def _call_hook(self, hook: RequestHook, reply: Response, outcome: Outcome, t_end: int, failure: str) -> None:
        request = self.request
        assert request is not None  # noqa: S101 - it is being finished
        error = "" if outcome is _OK else failure or f"HTTP {reply.status}"
        name = request.name or request.path.partition("?")[0]
        hook(request.method, name, reply if reply.status else None, error, (self.connection.t_sent, t_end))

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
        """Record a message, or the beginning or end of the WebSocket; ``times``: intended start, and end."""
        if anomaly is _LOST and not self._counted_lost:
            self._count_lost()
        record(self.context, self.number, timing, key, op, reply, outcome, anomaly, phase, *times)

    def _count_lost(self) -> None:
        self._counted_lost = True
        self.context.sessions_lost += 1

    # Headers

    def take_cookies(self, reply: Response) -> None:
        """Let Set-Cookie replace what it names."""
        if self.cookies.update(reply.head.cookies):
            self._write_lines()
        if self.cookies.rejected_name:
            name, self.cookies.rejected_name = self.cookies.rejected_name.decode("latin-1"), b""
            self.context.log_once(f"the cookie {name} has more than {MAX_COOKIE_BYTES} bytes: ignored, as browsers do")

    def _write_lines(self) -> None:
        self._lines = (
            b"X-User: %b\r\nX-Writer: %d\r\n" % (self.ledger.owner.encode(), self.number) + self.cookies.header_line
        )
