"""A session: a generator of requests, its browser's cookies, its ledger.

Steps on a WebSocket are left to its ``WebSocketSession``, so that requests do not wait for them.
"""

from harness.common.errors import UsageError
from harness.load.http.client import (
    Client,
    Connect,
    Disconnect,
    Listen,
    Message,
    Request,
    Sleep,
    Subscribe,
    observe_nothing,
)
from harness.load.http.cookie_jar import CookieJar
from harness.load.http.event_loop import Connection, Failure
from harness.load.http.redirects import InvalidRedirectError, redirected_request
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.sessions.batch import Batch
from harness.load.sessions.behaviour import IMMORTAL, SHARED, Behaviour, SessionSteps, Step
from harness.load.sessions.carriers import CarriedIds, Sendable, carriers_of
from harness.load.sessions.classifier import Classifier
from harness.load.sessions.connections import SessionConnections
from harness.load.sessions.context import LoadContext
from harness.load.sessions.records import MessageTiming, RecordKey, record
from harness.load.sessions.request import PreparedRequest
from harness.load.sessions.scheduling import Workload
from harness.load.sessions.websocket_session import WebSocketSession
from harness.observations.identity import SHOWN, Change, IdentityChange
from harness.observations.requests import LOAD, Anomaly, Outcome
from harness.oracle.ledger import Ledger

_JOIN_INTERVAL_NS = 10_000_000  # ns between two looks at whether the session is there that a second device joins
_OK, _LOST = Outcome.OK, Anomaly.LOST


class Session:
    """One session, from its first request to the final read."""

    __slots__ = (
        "_carried",
        "_counted_lost",
        "_first",
        "_lines",
        "_missing_cookie",
        "_op",
        "_prepared",
        "_steps",
        "_t_ended",
        "_websocket",
        "classifier",
        "client",
        "connection",
        "connections",
        "context",
        "jar",
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
        carriers = carriers_of(user)
        self._carried = CarriedIds(carriers) if carriers else None
        shares_browser = first is not None and type(user).browser == SHARED
        self.jar: CookieJar = (
            first.jar if first and shares_browser else CookieJar(immortal=type(user).cookies == IMMORTAL)
        )
        self.ledger = Ledger(context.seed, number, number, self.client.user, type(user).model)
        if type(user).devices > 1:
            self.ledger.shared = {} if first is None else first.ledger.shared
        self.classifier = Classifier(context, user, self.ledger)
        self.connections = SessionConnections(context.event_loop, self, round(user.timeout * 1e9))
        self.connection = self.connections.first
        self.request: Request | None = None
        self.requests = 0  # sent so far
        self.retired = False  # its user has left
        self.t_intended = 0
        self._t_ended = 0  # when the latest reply came, or failed to come
        self._missing_cookie: IdentityChange | None = None  # the latest because of which one is not sent
        self._lines = b""
        self._prepared: PreparedRequest | None = None  # the latest; as good for the same request again
        self._write_lines()

    def lines_for(self, path: str, now: int) -> bytes:
        """The headers that are this session's own, for a request of ``path``."""
        line = self.jar.header_line(self.context.site, path, now)
        if self.jar.changes:
            self._note_cookies(now)
        return self._lines + line

    def prepare(self, request: Request, now: int) -> PreparedRequest:
        """A request as this session sends it now.

        Raises:
            ValueError: it cannot be sent.
        """
        lines, placed, carried = self.lines_for(request.path, now), request, self._carried
        if carried and request.fresh:
            lines = lines.replace(carried.lines, b"", 1)
        elif carried:
            placed = carried.place(request)
        prepared = self.context.prepare(request, lines, placed)
        prepared.lines, prepared.jar_version = self._lines, self.jar.version
        return prepared

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self.connections.busy or (self._websocket is not None and self._websocket.busy)

    # The generator

    def advance(self, reply: Response | list[Response] | None, now: int) -> None:
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

    def _take_other_step(self, step: Step | list[Request], now: int) -> None:
        """Take a step that is no request."""
        if type(step) is Sleep:
            self.context.event_loop.call_at(now + round(step.seconds * 1e9), self._on_timer)
        elif isinstance(step, list):
            self._take_batch(step, now)
        elif isinstance(step, Connect | Subscribe | Message | Listen | Disconnect):
            self._websocket = self._websocket or WebSocketSession(self)
            self._websocket.take(step, now)
        else:
            self.context.log_once(f"a session yields requests, Sleep(seconds) or steps on a WebSocket, not {step!r}")
            self.end(now)

    def _take_batch(self, requests: list[Request], now: int) -> None:
        try:
            batch = Batch(self, requests)
        except UsageError as problem:
            self.context.log_once(f"{problem.message}: {problem.hint}")
            self.end(now)
        else:
            self.workload.schedule(batch, now)

    def _join_first_device(self, first: "Session") -> bool:
        """Take the cookies and ids of the first device, once it has any; returns whether it has."""
        if not (first.jar or first._carried):
            return False
        if self.jar is not first.jar:
            self.jar.copy_from(first.jar)
        if self._carried is not None and first._carried is not None:
            self._carried.copy_from(first._carried)
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

    def resume_after(self, batch: Batch, now: int) -> None:
        """Give the generator the replies to the requests that it sent at once."""
        self.connection = self.connections.first
        self.connection.handler = self
        if self.retired:
            self.close_connections(now)
        elif not self.context.stopping:
            self.advance(batch.replies, now)

    def end(self, now: int) -> None:
        """End the session: its generator has no further step."""
        self._steps = None
        self.close_connections(now)
        self.workload.on_session_end(self, now)

    def close_connections(self, now: int) -> None:
        """Close the connections and leave the WebSocket."""
        self.connections.close()
        if self._websocket is not None:
            self._websocket.leave(now)

    def abandon(self, now: int) -> None:
        """End what is under way as if its time were up."""
        self.connections.abandon(now)
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
        jar = self.jar
        if (
            prepared is None
            or prepared.request is not request
            or prepared.jar_version != jar.version
            or prepared.lines is not self._lines
            or now >= jar.earliest_expiry
        ):
            try:
                prepared = self._prepared = self.prepare(request, now)
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
        self.connection.send(data, request.method, prepared.repeatable, now, request.at_head)

    def on_response(self, reply: Response, t_end: int) -> None:
        """Classify and record the reply, then go on. With ``send``, the hot path of every session."""
        prepared = self._prepared
        assert prepared is not None  # noqa: S101 - a reply answers a request
        request, hop = prepared.request, None
        try:
            if request.follow or reply.head.cookies or self._carried is not None:
                outcome, anomaly, hop = self.understand(prepared, self._op, reply, t_end)
            else:
                outcome, anomaly = self.classifier.classify(request, self._op, reply, t_end)
        except Exception as problem:  # whatever a service sends, it ends no more than this request
            self.context.log_once("a reply cannot be understood", problem)
            self.on_failure(Failure.PROTOCOL_ERROR, t_end)
            return
        if hop is not None:
            self._follow(hop, reply, outcome, anomaly, t_end)
            return
        context, connection, op, intended = self.context, self.connection, self._op, self.t_intended
        if anomaly is _LOST or context.request_hook is not None:
            self.record(connection, prepared, op, reply, outcome, anomaly, intended, t_end)
        else:
            self._t_ended = t_end
            record(context, self.number, connection, prepared, op, reply, outcome, anomaly, LOAD, intended, t_end)
        self._go_on(reply, t_end)

    def on_head(self, reply: Response, now: int) -> None:
        """Follow a redirect at its head, if it leads somewhere; the rest of it is still read."""
        if self._prepared is not None and self.can_follow(self._prepared, reply):
            self.on_response(reply, now)

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Record that no reply came, then go on."""
        prepared, op, connection = self._prepared, self._op, self.connection
        assert prepared is not None  # noqa: S101 - it was sent
        outcome, anomaly = self.understand_failure(op, connection.sent, t_end)
        self.record(
            connection, prepared, op, NO_RESPONSE, outcome, anomaly, self.t_intended, t_end, failure=failure.value
        )
        self._go_on(NO_RESPONSE, t_end)

    def _go_on(self, reply: Response, t_end: int) -> None:
        self.request = None
        if self.retired:
            self.connections.close()
        elif not self.context.stopping:
            self.advance(reply, t_end)

    def _follow(self, hop: PreparedRequest, reply: Response, outcome: Outcome, anomaly: Anomaly, t_end: int) -> None:
        """Record a redirect, and send the request that it leads to: on another connection if its body is on its way."""
        op, moves = self._op, hop.request.writes is not None
        prepared, connection = self._prepared, self.connection
        assert prepared is not None  # noqa: S101 - it was redirected
        self.record(connection, prepared, 0 if moves else op, reply, outcome, anomaly, self.t_intended, t_end)
        if connection.busy and (other := self.connections.take(self)) is not None:
            self.connections.make_first(other)
            self.connection = other
        self._prepared, self._op, self.t_intended = hop, op if moves else 0, t_end
        self.transmit(self.connection, hop, self._op, t_end)

    # What every request has in common, alone or beside others

    def transmit(self, connection: Connection, prepared: PreparedRequest, op: int, now: int) -> None:
        """Send a request on a connection, as the write ``op`` unless that is 0."""
        self.context.sent += 1
        self.requests += 1
        data = prepared.write(op) if op else prepared.plain
        request = prepared.request
        connection.send(data, request.method, prepared.repeatable, now, request.at_head)

    def understand(
        self, prepared: PreparedRequest, op: int, reply: Response, t_end: int
    ) -> tuple[Outcome, Anomaly, PreparedRequest | None]:
        """Let a reply change the cookies and ids, and classify it; also returns the request that follows, if any."""
        request = prepared.request
        if reply.head.cookies:
            self.take_cookies(reply, request.path, t_end)
        if self._carried is not None:
            self.take_ids(request, reply, t_end)
        if request.follow and 300 <= reply.status < 400:
            return self._understand_redirect(prepared, op, reply, t_end)
        outcome, anomaly = self.classifier.classify(request, op, reply, t_end)
        return outcome, anomaly, None

    def _understand_redirect(
        self, prepared: PreparedRequest, op: int, reply: Response, t_end: int
    ) -> tuple[Outcome, Anomaly, PreparedRequest | None]:
        """The same for a redirect that is to be followed: the page at its end is what ``reads`` and ``check`` are for.

        A write that moves on (307, 308) is not settled here. Raises what ``redirected_request`` and ``prepare`` raise.
        """
        request = prepared.request
        target = redirected_request(request, reply, self.context.origin)
        if target is None:
            return *self.classifier.classify(request, op, reply, t_end), None
        moved_op = 0 if target.writes is not None else op
        if prepared.hops >= request.follow:
            outcome, anomaly = self.classifier.classify(request, op, reply, t_end)
            return outcome if op else max(outcome, Outcome.FAILED), anomaly, None
        hop = self.prepare(target, t_end)
        hop.hops = prepared.hops + 1
        bare = request._replace(reads=None, check=None)
        outcome, anomaly = self.classifier.classify(bare, moved_op, reply, t_end)
        if outcome is Outcome.FAILED:  # to the login: its page shows nothing of the session
            hop.request = hop.request._replace(reads=observe_nothing, check=None)
        return outcome, anomaly, hop

    def can_follow(self, prepared: PreparedRequest, reply: Response) -> bool:
        """Whether a redirect leads to a request of its own, so that its head is all that is needed of it."""
        if prepared.hops >= prepared.request.follow:
            return False
        try:
            return redirected_request(prepared.request, reply, self.context.origin) is not None
        except InvalidRedirectError:
            return False

    def understand_failure(self, op: int, sent: int, t_end: int) -> tuple[Outcome, Anomaly]:
        """What it means that no reply came, or none that can be understood; ``sent`` bytes of the request had left."""
        try:
            return self.classifier.classify_failure(op, sent, t_end)
        except ValueError:  # the write was settled before its reply turned out to be none
            return Outcome.IN_DOUBT, Anomaly.NONE

    def record(  # noqa: PLR0917 - made for every request
        self,
        connection: Connection,
        prepared: PreparedRequest,
        op: int,
        reply: Response,
        outcome: Outcome,
        anomaly: Anomaly,
        t_intended: int,
        t_end: int,
        *,
        failure: str = "",
    ) -> None:
        """Record one request that is over."""
        if anomaly is _LOST:
            self.note_loss(t_end)
        self._t_ended = t_end
        context = self.context
        record(context, self.number, connection, prepared, op, reply, outcome, anomaly, LOAD, t_intended, t_end)
        hook = context.request_hook
        if hook is not None:
            request = prepared.request
            error = "" if outcome is _OK else failure or f"HTTP {reply.status}"
            name = request.name or request.path.partition("?")[0]
            hook(request.method, name, reply if reply.status else None, error, (connection.t_sent, t_end))

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
        if anomaly is _LOST:
            self.note_loss(times[1])
        record(self.context, self.number, timing, key, op, reply, outcome, anomaly, phase, *times)

    def note_loss(self, t_end: int) -> None:
        """Count the session as lost, once; and keep for the trace which cookie the request lacked, if it lacked one."""
        self.context.sessions_lost += not self._counted_lost
        self._counted_lost = True
        missing, t0 = self._missing_cookie, self.context.t0
        if missing is not None and missing.t_ns >= self._t_ended - t0:  # since the reply before
            why = f"{missing.change}: {missing.why}"
            self.ledger.note_identity(IdentityChange(t_end - t0, Change.MISSED, missing.name, missing.value, why))

    # Headers and ids

    def place_ids(self, step: Sendable) -> Sendable:
        """A step with the ids that do not travel in a header."""
        return self._carried.place(step) if self._carried else step

    def take_ids(self, request: Request, reply: Response, now: int) -> None:
        """Let a reply replace the ids that it gives, and keep what changed for the trace."""
        if self._carried is None or reply.status >= 400:
            return
        why = f"reply {reply.status} to {request.name or f'{request.method} {request.path}'}"
        for carrier, old, new in self._carried.take(reply):
            change = Change.DROPPED if not new else Change.REPLACED if old else Change.SET
            t_ns, value = now - self.context.t0, (new or old)[:SHOWN]
            self.ledger.note_identity(IdentityChange(t_ns, change, carrier.label, value, why))
            self._write_lines()

    def take_cookies(self, reply: Response, path: str, now: int) -> None:
        """Let the Set-Cookie headers of the reply to a request for ``path`` change the jar."""
        self.jar.update(reply.head.cookies, self.context.site, path, now, reply.head.date)
        self._note_cookies(now)

    def _write_lines(self) -> None:
        owner = b"X-User: %b\r\nX-Writer: %d\r\n" % (self.ledger.owner.encode(), self.number)
        self._lines = owner + (self._carried.lines if self._carried is not None else b"")

    def _note_cookies(self, now: int) -> None:
        """Keep for the trace what became of cookies."""
        for change, name, value, why in self.jar.take_changes():
            noted = IdentityChange(now - self.context.t0, change, f"cookie {name}", value, why)
            is_standing = change in (Change.REFUSED, Change.WITHHELD)
            is_known = is_standing and any(known[1:] == noted[1:] for known in self.ledger.identity)
            if not is_known:
                self.ledger.note_identity(noted)
            if change is Change.REFUSED:
                self.context.log_once(f"the cookie {name} is refused, as browsers do: {why}")
            if change not in (Change.SET, Change.REPLACED) and not (is_known and change is Change.WITHHELD):
                self._missing_cookie = noted
