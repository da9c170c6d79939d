"""The sweep: one final read of every session that ever sent a request, judged by its ledger.

Few connections are shared by all sessions, each request with its own session's cookies; paced, so that the sweep itself
breaks nothing. A read that does not come through is tried again later, and so is one that shows an anomaly: only what
a second look confirms is lost, the rest was stale. When time is up, the remaining sessions stay unread.
"""

from collections import deque
from collections.abc import Callable

from harness.common.errors import UsageError
from harness.load.http.client import Request, Sleep
from harness.load.http.event_loop import MS, Connection, Failure
from harness.load.http.redirects import redirected_request
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.sessions.behaviour import SessionSteps, no_steps, steps_of
from harness.load.sessions.classifier import Reading
from harness.load.sessions.records import record
from harness.load.sessions.registry import SessionRegistry
from harness.load.sessions.request import PreparedRequest
from harness.load.sessions.session import Session
from harness.observations.requests import SWEEP, Anomaly, Outcome
from harness.oracle.observed import GONE

MAX_CONNECTIONS = 16
MAX_TRIES = 5
MAX_FORCED_TRIES = 20  # a login forced by one replica need not be by the next, and asking again costs next to nothing
RETRY_INTERVAL_NS = 200 * MS
TIMEOUT_NS = 5_000 * MS
#: Beyond the time that its rate asks for, the sweep may take this much.
GRACE_NS = 60_000 * MS
_UNREAD: Reading = (Outcome.IN_DOUBT, None, False)


class FinalSweep:
    """Reads every started session of a registry; calls ``done()`` once, after the last."""

    def __init__(self, registry: SessionRegistry, rate: float, done: Callable[[], None]) -> None:
        self.context = registry.context
        self._gap = round(1e9 / rate)
        self._done = done
        self._waiting = deque((0, 1, session) for session in registry.started)
        self._remaining = len(self._waiting)
        self._slot = self._deadline = 0

    def start(self, now: int) -> None:
        """Begin to read; from here on the load sends nothing of its own."""
        self._slot = now
        self._deadline = now + GRACE_NS + 2 * self._gap * self._remaining
        if not self._remaining:
            self._done()
        for _ in range(min(MAX_CONNECTIONS, self._remaining)):
            _Reader(self).next(now)

    def take(self, now: int) -> tuple[int, int, Session] | None:
        """The next read: when, which try, and of which session; None if there is none."""
        if not self._waiting:
            return None
        earliest, attempt, session = self._waiting.popleft()
        self._slot = max(self._slot + self._gap, now)
        return max(self._slot, earliest), attempt, session

    def retry(self, attempt: int, session: Session, now: int, wait: int, max_tries: int = MAX_TRIES) -> bool:
        """Queue another try, ``wait`` ns from now at the earliest; False if there have been ``max_tries``."""
        if attempt >= max_tries or now > self._deadline:
            return False
        self._waiting.append((now + wait, attempt + 1, session))
        return True

    def finish_session(self) -> None:
        """Count one session that has been judged."""
        self._remaining -= 1
        if self._remaining == 0:
            self._done()


class _Reader:
    """One connection of the sweep."""

    def __init__(self, sweep: FinalSweep) -> None:
        self._sweep = sweep
        self._connection = Connection(sweep.context.event_loop, self, TIMEOUT_NS)
        self._session: Session | None = None
        self._steps: SessionSteps = no_steps()
        self._prepared: PreparedRequest | None = None  # the latest request of the read
        self._latest: tuple[Response, Reading] = NO_RESPONSE, _UNREAD  # what it was answered
        self._attempt = self._due = 0

    def next(self, now: int) -> None:
        """Take the next read, if there is one."""
        task = self._sweep.take(now)
        if task is None:
            self._connection.close()
            return
        self._due, self._attempt, self._session = task
        self._sweep.context.event_loop.call_at(self._due, self._read)

    def _read(self, now: int) -> None:
        session = self._session
        assert session is not None  # noqa: S101 - set by ``next``
        self._prepared, self._latest = None, (NO_RESPONSE, _UNREAD)
        try:
            self._steps = steps_of(session.user.final(session.client))
        except Exception as problem:
            self._sweep.context.log_once("final() raised", problem)
            self._steps = no_steps()
        self._advance(None, now)

    def _advance(self, reply: Response | None, now: int) -> None:
        """Take the next step of the read, or judge by the last reply if there is none."""
        context = self._sweep.context
        try:
            step = self._steps.send(reply)
            if isinstance(step, Request):
                self._ask(step, now)
            elif isinstance(step, Sleep):
                context.event_loop.call_at(now + round(step.seconds * 1e9), lambda later: self._advance(None, later))
            else:
                raise UsageError(f"final() yields requests and Sleep(seconds), not {step!r}")
        except StopIteration:
            self._judge(*self._latest, now)
        except Exception as problem:
            context.log_once("final() raised", problem)
            self._judge(NO_RESPONSE, _UNREAD, now)

    def _ask(self, request: Request, now: int) -> None:
        """Send one request of the read.

        Raises:
            ValueError: it cannot be sent.
        """
        assert self._session is not None  # noqa: S101 - set by ``next``
        self._send(self._session.prepare(request, now), now)

    def _send(self, prepared: PreparedRequest, now: int) -> None:
        """Send a request; the one before it, whose reply is the latest, is recorded."""
        if self._prepared is not None:
            self._record(Anomaly.NONE, now)
        self._prepared = prepared
        self._connection.probe()
        # Not repeatable: the sweep itself tries again, and counts.
        self._connection.send(prepared.plain, prepared.request.method, False, now)

    def _understand(
        self, session: Session, prepared: PreparedRequest, reply: Response, now: int
    ) -> tuple[Reading, PreparedRequest | None]:
        """What a reply shows, and the request that its redirect leads to. One to the login is not followed."""
        session.take_cookies(reply, prepared.request.path, now)
        session.take_ids(prepared.request, reply, now)
        reading = session.classifier.read(prepared.request, reply)
        if reading[2] or reading[1] is GONE or prepared.hops >= prepared.request.follow:
            return reading, None
        target = redirected_request(prepared.request, reply, self._sweep.context.origin)
        if target is None:
            return reading, None
        hop = session.prepare(target, now)
        hop.hops = prepared.hops + 1
        return (reading[0], None, False), hop

    def on_response(self, reply: Response, t_end: int) -> None:
        """Go on to the next step; a reply that says nothing of the session begins the read again."""
        session, prepared = self._session, self._prepared
        assert session is not None and prepared is not None  # noqa: S101 - a reply answers a read
        try:
            reading, hop = self._understand(session, prepared, reply, t_end)
        except Exception as problem:  # whatever a service sends, it ends no more than this read
            self._sweep.context.log_once("a reply cannot be understood", problem)
            self.on_failure(Failure.PROTOCOL_ERROR, t_end)
            return
        if hop is not None:
            self._latest = reply, reading
            self._send(hop, t_end)
            return
        if reading[0] is Outcome.IN_DOUBT and self._retry_later(session, t_end):
            return
        self._latest = reply, reading
        if reading[1] is GONE:
            self._judge(reply, reading, t_end)
        else:
            self._advance(reply, t_end)

    def on_head(self, reply: Response, now: int) -> None:
        """Nothing is done before the whole reply is there."""

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Try again, a few times."""
        session = self._session
        assert session is not None  # noqa: S101 - set by ``next``
        if not self._retry_later(session, t_end):
            self._judge(NO_RESPONSE, _UNREAD, t_end)

    def _retry_later(self, session: Session, now: int) -> bool:
        """Queue another try and take the next read; False if there were enough tries."""
        if not self._sweep.retry(self._attempt, session, now, RETRY_INTERVAL_NS * self._attempt):
            return False
        self.next(now)
        return True

    def _judge(self, reply: Response, reading: Reading, t_end: int) -> None:
        session = self._session
        assert session is not None  # noqa: S101 - set by ``next``
        self._latest = reply, reading
        anomaly = session.classifier.classify_final(reading, reply, t_end)
        if anomaly is Anomaly.LOST:
            session.note_loss(t_end)
        if self._prepared is not None:
            self._record(anomaly, t_end)
        # What lags behind gets time to catch up; a forced login is tried at once on the next replica.
        wait, max_tries = (0, MAX_FORCED_TRIES) if reading[2] else (RETRY_INTERVAL_NS, MAX_TRIES)
        if not (anomaly and self._sweep.retry(self._attempt, session, t_end, wait, max_tries)):
            self._sweep.finish_session()
        self.next(t_end)

    def _record(self, anomaly: Anomaly, t_end: int) -> None:
        """Record the latest request of the read."""
        session, prepared, (reply, reading) = self._session, self._prepared, self._latest
        assert session is not None and prepared is not None  # noqa: S101 - it was sent
        self._connection.attempts = self._attempt
        record(
            self._sweep.context,
            session.number,
            self._connection,
            prepared,
            0,
            reply,
            reading[0],
            anomaly,
            SWEEP,
            self._due,
            t_end,
        )
