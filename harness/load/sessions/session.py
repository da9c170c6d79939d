"""A session: a generator of requests, its cookies, its ledger; and what all sessions of a process share.

Steps on a WebSocket are left to its ``Conversation``, so that requests do not wait for them.
"""

import logging
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, Union
from urllib.parse import urlsplit

from harness.load.control.plan import WHOLE_LOAD, Shard
from harness.load.http.client import Client, Connect, Disconnect, Listen, Message, Request, Sleep
from harness.load.http.cookies import MAX_COOKIE_BYTES, Cookies
from harness.load.http.event_loop import Connection, EventLoop, Failure
from harness.load.http.redirects import redirected_request
from harness.load.http.response import NO_RESPONSE, Head, Response
from harness.load.http.wire import Encoder, key_line
from harness.load.recording.recorder import Recorder, StringTable
from harness.load.sessions.websocket_session import MessageTiming, WebSocketSession
from harness.observations.requests import Anomaly, Method, Outcome
from harness.oracle.ledger import Ledger
from harness.oracle.models import ModelFactory
from harness.oracle.observed import Observed, Tally, decode_tally, tally_from_json

RequestHook = Callable[[str, str, Response | None, str, tuple[int, int]], None]
SessionSteps = Generator[Request | Sleep | Connect | Message | Listen | Disconnect, Response, None]
_CACHED_NAMES = 10_000
_JOIN_INTERVAL_NS = 10_000_000  # ns between two looks at whether the session is there that a second device joins
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


class Session:
    """One session, from its first request to the final read."""

    __slots__ = (
        "_asks_login",
        "_counted_lost",
        "_first",
        "_form",
        "_lines",
        "_observe",
        "_op",
        "_steps",
        "_talk",
        "client",
        "cookies",
        "crowd",
        "lane",
        "ledger",
        "number",
        "request",
        "requests",
        "retired",
        "stage",
        "t_intended",
        "user",
    )

    def __init__(
        self, stage: LoadContext, number: int, user: Behaviour, crowd: Workload, first: "Session | None" = None
    ) -> None:
        """``first`` is the session of which this is another device."""
        self.stage = stage
        self._first = first
        self.crowd = crowd
        self._steps: SessionSteps | None = None
        self._talk: WebSocketSession | None = None
        self._op = 0
        self._counted_lost = False
        self.number = number
        self.user = user
        self.client: Client = Client(number, stage.plain, first.client.user if first else "")
        self.cookies = Cookies()
        self.ledger = Ledger(stage.seed, number, number, self.client.user, type(user).model)
        self.lane = Connection(stage.engine, self, round(user.timeout * 1e9))
        self.request: Request | None = None
        self.requests = 0  # sent so far
        self.retired = False  # its user has left
        self.t_intended = 0
        self._lines = b""
        usual_observe = getattr(type(user), "observe", None) is DefaultBehaviour.observe
        self._observe = parse_tally if usual_observe else user.observe
        self._asks_login = getattr(type(user), "forced_login", None) is not DefaultBehaviour.forced_login
        self._form: PreparedRequest | None = None  # the latest; as good for the same request again
        self._write_lines()

    @property
    def lines(self) -> bytes:
        """The headers that are this session's own."""
        return self._lines

    def _write_lines(self) -> None:
        self._lines = (
            b"X-User: %b\r\nX-Writer: %d\r\n" % (self.ledger.owner.encode(), self.number) + self.cookies.header_line
        )

    def advance(self, reply: Response | None, now: int) -> None:
        """Ask the generator for what comes next, giving it the reply that it waits for (None: it waits for none)."""
        if self._first is not None and not self._joined(self._first):
            self.stage.engine.call_at(now + _JOIN_INTERVAL_NS, self._resume)
            return
        try:
            if self._steps is None:
                self._steps = self.user.session(self.client)
            step = next(self._steps) if reply is None else self._steps.send(reply)
        except StopIteration:
            self.end(now)
            return
        except Exception as problem:
            self.stage.complain("a session raised", problem)
            self.end(now)
            return
        if type(step) is Request:
            self.request = step
            self.crowd.ready(self, now)
        elif type(step) is Sleep:
            self.stage.engine.call_at(now + round(step.seconds * 1e9), self._resume)
        elif isinstance(step, Connect | Message | Listen | Disconnect):
            self._talk = self._talk or WebSocketSession(self)
            self._talk.take(step, now)
        else:
            self.stage.complain(f"a session yields requests, Pause(seconds) or steps on a WebSocket, not {step!r}")
            self.end(now)

    def _joined(self, first: "Session") -> bool:
        """Take the cookies of the first device, once it has any."""
        if not first.cookies.header_line:
            return False
        self.cookies.copy_from(first.cookies)
        self._write_lines()
        self._first = None
        return True

    def _resume(self, now: int) -> None:
        if not (self.stage.stopping or self.retired):
            self.advance(None, now)

    def end(self, now: int) -> None:
        """Its generator has nothing more to do."""
        self._steps = None
        self.let_go(now)
        self.crowd.ended(self, now)

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self.lane.busy or (self._talk is not None and self._talk.busy)

    def let_go(self, now: int) -> None:
        """Hold no connection any more."""
        self.lane.close()
        if self._talk is not None:
            self._talk.leave(now)

    def abandon(self, now: int) -> None:
        """End what is under way as if its time were up."""
        self.lane.abandon(now)
        if self._talk is not None:
            self._talk.abandon(now)

    def go_on(self, reply: Response, now: int) -> None:
        """Give the generator what its step on the WebSocket came to."""
        if self.retired:
            self.let_go(now)
        elif not self.stage.stopping and self._steps is not None:
            self.advance(reply, now)

    def wake(self, now: int) -> None:
        """Send after a rest, for which the time is now."""
        self.lane.probe()
        self.send(now)

    def send(self, now: int) -> None:
        """Send the next request; ``t_intended`` was set by the crowd."""
        request, stage, form = self.request, self.stage, self._form
        if stage.stopping or self.retired or request is None:
            return
        if form is None or form.request is not request or form.lines is not self._lines:
            try:
                form = self._form = stage.form(request, self._lines)
            except ValueError as problem:
                stage.complain("a request cannot be sent", problem)
                self.end(now)
                return
        stage.sent += 1
        self.requests += 1
        if request.writes is None:
            self._op = 0
            data = form.plain
        else:
            self._op = self.ledger.write(request.writes)
            data = form.write(self._op)
        self.lane.send(data, request.method, form.repeatable, now)

    def on_response(self, reply: Response, t_end: int) -> None:
        """Judge and record the reply, then go on. With ``send``, the hot path of every session."""
        request, stage, status, head = self.request, self.stage, reply.status, reply.head
        assert request is not None  # noqa: S101 - a reply answers a request
        if head.cookies:
            self.take_cookies(reply)
        if 300 <= status < 400 and request.follow and self._followed(request, reply, t_end):
            return
        forced = (self._asks_login or status >= 300) and self.is_forced_login(reply)
        if status >= 400 or forced:
            self._finish(reply, *self._not_ok(reply, forced, t_end), t_end)
            return
        boot = head.boot or stage.boot_of(head)
        anomaly = self.settle(self._op, _OK, self.observed(request, reply, False), boot, t_end)
        if request.check is not None and not self._checks(request, reply):
            anomaly = Anomaly.WRONG
        self._finish(reply, _OK, anomaly, t_end)

    def _followed(self, request: Request, reply: Response, now: int) -> bool:
        """Go where a redirect leads, within the same request; whether it does."""
        stage, came, lane = self.stage, self._form, self.lane
        assert came is not None  # noqa: S101 - set by ``send``
        hop = redirected_request(came.request, reply, stage.origin) if came.hops < request.follow else None
        if hop is None:
            return False
        try:
            form = stage.form(hop, self._lines)
        except ValueError:
            return False  # no place to go to
        form.method, form.hops = came.method, came.hops + 1
        self._form = form
        again = self._op and hop.method == request.method
        data = form.write(self._op) if again else form.plain
        lane.send(data, hop.method, form.repeatable, now, lane.t_sent)
        return True

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

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """No reply: certainly not done where nothing was sent, else in doubt."""
        outcome = _IN_DOUBT if self.lane.sent else _FAILED
        anomaly = self.ledger.settle(self._op, outcome, None, "", t_end - self.stage.t0)
        self._finish(NO_RESPONSE, outcome, anomaly, t_end, failure.value)

    def take_cookies(self, reply: Response) -> None:
        """Let Set-Cookie replace what it names."""
        if self.cookies.update(reply.head.cookies):
            self._write_lines()
        if self.cookies.rejected_name:
            name, self.cookies.rejected_name = self.cookies.rejected_name.decode("latin-1"), b""
            self.stage.complain(f"the cookie {name} has more than {MAX_COOKIE_BYTES} bytes: ignored, as browsers do")

    def is_forced_login(self, reply: Response) -> bool:
        """The user's ``forced_login``; an error in it is told once."""
        try:
            return self.user.forced_login(reply)
        except Exception as problem:
            self.stage.complain("forced_login raised", problem)
            return False

    def observed(self, request: Request | Connect | Message, reply: Response, forced: bool) -> Tally | Observed | None:
        """The request's ``reads`` or the user's ``observe``, a bare state too; an error in it is told once.

        A redirect shows nothing by itself, unless it is to the login.
        """
        if request.reads is None and not forced and 300 <= reply.status < 400:
            return None
        try:
            seen = (request.reads or self._observe)(reply)
        except Exception as problem:
            self.stage.complain("observe raised", problem)
            return None
        return seen if type(seen) in _SEEN else Observed(state=seen)

    def _checks(self, request: Request | Connect | Message, reply: Response) -> bool:
        try:
            return request.check is None or request.check(reply)
        except Exception as problem:
            self.stage.complain("check raised", problem)
            return False

    def _finish(self, reply: Response, outcome: Outcome, anomaly: Anomaly, t_end: int, failure: str = "") -> None:
        stage, form = self.stage, self._form
        assert form is not None  # noqa: S101 - set by ``send``
        if anomaly is _LOST and not self._counted_lost:
            self._counted_lost = True
            stage.lost += 1
        record(self, self.lane, form, self._op, reply, outcome, anomaly, 0, self.t_intended, t_end)
        if stage.each is not None:
            self._tell(stage.each, reply, outcome, t_end, failure)
        self.request = None
        if self.retired:
            self.lane.close()
        elif not stage.stopping:
            self.advance(reply, t_end)

    def note(  # noqa: PLR0917 - as ``record``
        self,
        kind: tuple[int, int],
        op: int,
        reply: Response,
        found: tuple[Outcome, Anomaly],
        phase: int,
        times: tuple[int, int],
        trace: Connection | MessageTiming,
    ) -> None:
        """Record something of its WebSocket: name and method, what came of it, intended start and end."""
        if found[1] is _LOST and not self._counted_lost:
            self._counted_lost = True
            self.stage.lost += 1
        record(self, trace, RecordKey(*kind), op, reply, *found, phase, *times)

    def _tell(self, each: RequestHook, reply: Response, outcome: Outcome, t_end: int, failure: str) -> None:
        request = self.request
        assert request is not None  # noqa: S101 - it is being finished
        error = "" if outcome is _OK else failure or f"HTTP {reply.status}"
        name = request.name or request.path.partition("?")[0]
        each(request.method, name, reply if reply.status else None, error, (self.lane.t_sent, t_end))


class RecordKey(NamedTuple):
    """What a record is counted under, by numbers."""

    name: int
    method: int


def record(  # noqa: PLR0917 - made for every request
    session: Session,
    lane: Connection | MessageTiming,
    form: PreparedRequest | RecordKey,
    op: int,
    reply: Response,
    outcome: Outcome,
    anomaly: Anomaly,
    phase: int,
    t_intended: int,
    t_end: int,
) -> None:
    """Pack one request, in the order of ``RECORD``."""
    stage = session.stage
    recorder, number = stage.recorder, session.number
    replica, boot = reply.head.record_ids or stage.numbers_of(reply.head)
    recorder.pack(
        recorder.buffer,
        recorder.reserve(),
        number,
        number,
        op,
        form.name,
        form.method,
        outcome,
        anomaly,
        lane.attempts,
        lane.reconnected,
        phase,
        reply.status,
        replica,
        boot,
        t_intended,
        lane.t_sent,
        lane.t_first,
        t_end,
        lane.sent,
        lane.received,
    )
