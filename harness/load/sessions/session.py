"""A session: a generator of requests, its cookies, its ledger.

SessionSteps on a WebSocket are left to its ``WebSocketSession``, so that requests do not wait for them.
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
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.ledger import Ledger
<<<<<<< HEAD
from harness.oracle.models import ModelFactory
from harness.oracle.observed import Observed, Tally, decode_tally, tally_from_json
=======
>>>>>>> main

_JOIN_INTERVAL_NS = 10_000_000  # ns between two looks at whether the session is there that a second device joins
<<<<<<< HEAD
_METHODS = {method.name: int(method) for method in Method}
_OTHER = int(Method.OTHER)
_OK, _FAILED, _IN_DOUBT = Outcome.OK, Outcome.FAILED, Outcome.IN_DOUBT
_NONE, _LOST = Anomaly.NONE, Anomaly.LOST
_SEEN = (Tally, Observed, type(None))  # what a ledger takes as it is

log = logging.getLogger(__name__)


class Behaviour(Protocol):
    """What the engine asks of a user; ``SessionUser`` has it."""

    model: ClassVar[ModelFactory]
    timeout: float
    devices: ClassVar[int]

    def session(self, client: Client, /) -> SessionSteps:
        """The requests of one session."""

    def final(self, client: Client, /) -> Request | None:
        """The read that the sweep makes."""

    def observe(self, reply: Response, /) -> Any:
        """What an ok reply, or one that forces a login, tells of the stored session."""

    def forced_login(self, reply: Response, /) -> bool:
        """Whether a reply sends the session back to the login."""

    def wait_time(self) -> float:
        """Seconds between two requests."""


class DefaultBehaviour:
    """How a reply is understood where a user does not say otherwise."""

    login_page: ClassVar[str] = "/login"
    devices: ClassVar[int] = 1

    def observe(self, reply: Response, /) -> Any:
        """What an ok reply, or one that forces a login, shows of the stored session.

        A ``Tally``, an ``Observed``, the state itself for the ``model``, or None for nothing. By default the JSON's
        ``session`` (docs/wire.md). ``harness.load.sessions.extractors`` has values to set in its place.
        """
        return parse_tally(reply)

    def forced_login(self, reply: Response, /) -> bool:
        """Whether a reply sends a live session back to the login; by default a 401, or a redirect to ``login_page``."""
        if 300 <= reply.status < 400:
            return urlsplit(reply.headers.get("location", "")).path.startswith(self.login_page)
        return reply.status == 401


def parse_tally(reply: Response) -> Tally | None:
    """The built-in targets' account of the session in a reply; None where there is none."""
    try:
        return decode_tally(reply.body)
    except ValueError:
        return tally_from_json(reply.json()) if reply.body.startswith(b"{") else None


#: What acts for a session: itself, or its WebSocket.
Actor = Union["Session", WebSocketSession]


class Workload(Protocol):
    """Who decides when sessions act."""

    @property
    def dropped(self) -> int:
        """How many arrivals were given up."""

    def ready(self, session: "Actor", now: int) -> None:
        """The session's next request is known: ``session.send()`` when it should be sent."""

    def ended(self, session: "Session", now: int) -> None:
        """The session's generator has ended."""


def outcome_of(reply: Response) -> Outcome:
    """What a reply tells of its request: only the target's own 4xx says that nothing was done."""
    if reply.status < 400:
        return _OK
    return _FAILED if reply.status < 500 and reply.replica else _IN_DOUBT


class PreparedRequest:
    """A request as one session sends it, and as it is recorded."""

    __slots__ = ("_after", "_before", "hops", "lines", "method", "name", "plain", "repeatable", "request")

    def __init__(self, request: Request, lines: bytes, halves: tuple[bytes, bytes], name: int) -> None:
        self.request = request
        self.lines = lines  # the session's own, which change with its cookies
        self.name = name
        self.method = _METHODS.get(request.method, _OTHER)
        self.repeatable = request.writes is None and request.method in ("GET", "HEAD")
        self.hops = 0  # redirects that led to it
        self._before, self._after = halves
        self.plain = self._before + self._after  # its bytes, where it writes nothing

    def write(self, op: int) -> bytes:
        """Its bytes as the write ``op``."""
        return self._before + key_line(op) + self._after


class LoadContext:
    """What the sessions of one process share."""

    def __init__(
        self,
        engine: EventLoop,
        recorder: Recorder,
        names: StringTable,
        *,
        host: str,
        seed: int,
        t0: int,
        share: Shard = WHOLE_LOAD,
    ) -> None:
        self.engine = engine
        self.recorder = recorder
        self.names = names
        self.encoder = Encoder(host)
        self.seed = seed
        self.share = share
        self.t0 = recorder.t0 = t0
        self.sessions: list[Session] = []
        self.plain: dict[str, Request] = {}  # what their clients have in common
        self.sent = 0
        self.lost = 0
        self.heard = 0  # when a WebSocket last brought what another session wrote
        self.stopping = False
        #: The boot ids of replicas that do not tell theirs; whoever starts them does.
        self.boots: Mapping[str, str] = {}
        #: Called after every request of the load, where somebody wants each of them.
        self.each: RequestHook | None = None
        self._complaints: set[str] = set()
        self._devices: dict[type, list[Session]] = {}  # of the latest session of each class of users
        self._name_ids: dict[str | tuple[str, str], int] = {}

    def begin(self, user: Behaviour, crowd: Workload) -> "Session":
        """A new session of this user: new number, new ledger, no cookies. ``advance(None, now)`` sets it going."""
        devices = self._devices.setdefault(type(user), [])
        if len(devices) == type(user).devices:
            devices.clear()
        first = devices[0] if devices else None
        session = Session(self, self.share.session_number(len(self.sessions)), user, crowd, first)
        devices.append(session)
        self.sessions.append(session)
        return session

    @property
    def origin(self) -> str:
        """Scheme and host of what is loaded."""
        target = self.engine.target
        return f"{'https' if target is not None and target.tls else 'http'}://{self.encoder.host}"

    def form(self, request: Request, lines: bytes) -> PreparedRequest:
        """A request of the session that has these header lines.

        Raises:
            ValueError: it cannot be sent.
        """
        return PreparedRequest(request, lines, self.encoder.encode_around_key(request, lines), self._name_of(request))

    def boot_of(self, head: Head) -> str:
        """The boot id of whoever answered, by its own word or by that of who started it."""
        return head.boot or self.boots.get(head.replica, "")

    def numbers_of(self, head: Head) -> tuple[int, int]:
        """The numbers of the replica and the boot that answered; kept with the head where it tells both itself."""
        numbers = self.names.intern("replica", head.replica), self.names.intern("boot", self.boot_of(head))
        if head.boot or not self.boots:
            head.record_ids = numbers
        return numbers

    def _name_of(self, request: Request) -> int:
        """The number of what a request is counted under: its name, or method and path without the query."""
        key = request.name or (request.method, request.path)
        found = self._name_ids.get(key)
        if found is None:
            name = request.name or f"{request.method} {request.path.partition('?')[0]}"
            if len(self._name_ids) >= _CACHED_NAMES:
                self._name_ids.clear()
            found = self._name_ids[key] = self.names.intern("name", name)
        return found

    def complain(self, what: str, problem: Exception | None = None) -> None:
        """Log a problem of the scenario's own code, each once."""
        where = traceback.extract_tb(problem.__traceback__)[-1] if problem is not None else None
        told = f"{what}: {problem!r}" if problem is not None else what
        if where is not None:
            told += f" ({where.filename}:{where.lineno})"
        if told not in self._complaints:
            self._complaints.add(told)
            log.error("%s", told)
=======
_OK, _LOST = Outcome.OK, Anomaly.LOST
>>>>>>> main


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
                self.workload.ready(self, now)
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
        self.workload.ended(self, now)

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
        """Send after a rest, for which the time is now."""
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

<<<<<<< HEAD
    def _not_ok(self, reply: Response, forced: bool, t_end: int) -> tuple[Outcome, Anomaly]:
        """What a refusal means, told to the ledger."""
        boot, request = self.stage.boot_of(reply.head), self.request
        if not forced or request is None:
            outcome = outcome_of(reply)
            return outcome, self.settle(self._op, outcome, None, boot, t_end)
        anomaly = self.settle(self._op, _FAILED, self.observed(request, reply, True), boot, t_end)
        return _FAILED, max(anomaly, self.ledger.record_forced_login(t_end - self.stage.t0, boot))

    def understood(self, reply: Response, step: Connect | Message, op: int, t_end: int) -> tuple[Outcome, Anomaly]:
        """What a reply on the WebSocket, or to the wish for one, means; told to the ledger."""
        boot, outcome = self.stage.boot_of(reply.head), outcome_of(reply)
        if self.is_forced_login(reply):
            anomaly = self.settle(op, _FAILED, self.observed(step, reply, True), boot, t_end)
            return _FAILED, max(anomaly, self.ledger.record_forced_login(t_end - self.stage.t0, boot))
        observed = self.observed(step, reply, False) if outcome is _OK else None
        anomaly = self.settle(op, outcome, observed, boot, t_end)
        return outcome, anomaly if outcome is not _OK or self._checks(step, reply) else Anomaly.WRONG

    def settle(self, op: int, outcome: Outcome, observed: Tally | Observed | None, boot: str, t_end: int) -> Anomaly:
        """Tell the ledger; an observation that its model does not read is told once."""
        try:
            return self.ledger.settle(op, outcome, observed, boot, t_end - self.stage.t0)
        except TypeError as problem:  # the model does not read such a state
            self.stage.complain("what was observed is not the model's", problem)
            return _NONE

=======
>>>>>>> main
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
            0,
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
