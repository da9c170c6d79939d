"""The sweep: one final read of every session that ever was, judged by its ledger.

Few connections are shared by all sessions, each request with its own session's cookies; paced, so that the sweep itself
breaks nothing. A read that does not come through is tried again later, and so is one that shows an anomaly: only what
a second look confirms is lost, the rest was stale. When time is up, what is left stays unread.
"""

from collections import deque
from collections.abc import Callable

from harness.load.http.event_loop import MS, Connection, Failure
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.sessions.session import LoadContext, PreparedRequest, Session, outcome_of, record
from harness.observations.requests import SWEEP, Anomaly, Outcome
from harness.oracle.observed import Observed, Tally

LANES = 16
TRIES = 5
FORCED_TRIES = 20  # a login forced by one replica need not be by the next, and asking again costs next to nothing
RETRY_NS = 200 * MS
TIMEOUT_NS = 5_000 * MS
#: Beyond the time that its rate asks for, the sweep may take this much.
GRACE_NS = 60_000 * MS


class FinalSweep:
    """Reads every session of a stage; calls ``done()`` once, after the last."""

    def __init__(self, stage: LoadContext, rate: float, done: Callable[[], None]) -> None:
        self.stage = stage
        self._gap = round(1e9 / rate)
        self._done = done
        self._waiting = deque((0, 1, session) for session in stage.sessions)
        self._left = len(self._waiting)
        self._slot = self._deadline = 0

    def start(self, now: int) -> None:
        """Begin to read; from here on the stage sends nothing of its own."""
        self._slot = now
        self._deadline = now + GRACE_NS + 2 * self._gap * self._left
        if not self._left:
            self._done()
        for _ in range(min(LANES, self._left)):
            _Reader(self).next(now)

    def take(self, now: int) -> tuple[int, int, Session] | None:
        """The next read: when, which try, and of which session."""
        if not self._waiting:
            return None
        earliest, attempt, session = self._waiting.popleft()
        self._slot = max(self._slot + self._gap, now)
        return max(self._slot, earliest), attempt, session

    def again(self, attempt: int, session: Session, now: int, wait: int, most: int = TRIES) -> bool:
        """Queue another try, ``wait`` ns from now at the earliest; False where there have been ``most``."""
        if attempt >= most or now > self._deadline:
            return False
        self._waiting.append((now + wait, attempt + 1, session))
        return True

    def finished(self) -> None:
        """One session has been judged."""
        self._left -= 1
        if self._left == 0:
            self._done()


class _Reader:
    """One connection of the sweep."""

    def __init__(self, sweep: FinalSweep) -> None:
        self._sweep = sweep
        self._lane = Connection(sweep.stage.engine, self, TIMEOUT_NS)
        self._session: Session | None = None
        self._form: PreparedRequest | None = None  # what is being read
        self._attempt = self._due = 0

    def next(self, now: int) -> None:
        """Take the next read, if any is left."""
        task = self._sweep.take(now)
        if task is None:
            self._lane.close()
            return
        self._due, self._attempt, self._session = task
        self._sweep.stage.engine.call_at(self._due, self._read)

    def _read(self, now: int) -> None:
        session = self._session
        assert session is not None  # noqa: S101 - set by ``next``
        form = self._form = self._final(session)
        if form is None:
            self._judge(NO_RESPONSE, Outcome.IN_DOUBT, None, now)
            return
        self._lane.probe()
        self._lane.send(form.plain, form.request.method, False, now)  # the sweep itself tries again, and counts

    def _final(self, session: Session) -> PreparedRequest | None:
        """The session's final read; None where it has none, or one that cannot be sent."""
        stage = self._sweep.stage
        try:
            request = session.user.final(session.client)
            return None if request is None else stage.form(request, session.lines)
        except Exception as problem:
            stage.complain("final() raised", problem)
            return None

    def on_response(self, reply: Response, t_end: int) -> None:
        """Judge by the reply; one that says nothing of the session is asked for again."""
        session, form = self._session, self._form
        assert session is not None and form is not None  # noqa: S101 - a reply answers a read
        session.take_cookies(reply)
        forced = session.is_forced_login(reply)
        outcome = Outcome.FAILED if forced else outcome_of(reply)
        if outcome is Outcome.IN_DOUBT and self._sweep.again(self._attempt, session, t_end, RETRY_NS * self._attempt):
            self.next(t_end)
            return
        observed = session.observed(form.request, reply, forced) if forced or outcome is Outcome.OK else None
        self._judge(reply, outcome, observed, t_end, forced)

    def on_failure(self, failure: Failure, t_end: int) -> None:
        """Try again, a few times."""
        session = self._session
        assert session is not None  # noqa: S101 - set by ``next``
        if self._sweep.again(self._attempt, session, t_end, RETRY_NS * self._attempt):
            self.next(t_end)
        else:
            self._judge(NO_RESPONSE, Outcome.IN_DOUBT, None, t_end)

    def _judge(
        self, reply: Response, outcome: Outcome, observed: Tally | Observed | None, t_end: int, forced: bool = False
    ) -> None:
        session, stage, lane = self._session, self._sweep.stage, self._lane
        assert session is not None  # noqa: S101 - set by ``next``
        t, boot = t_end - stage.t0, stage.boot_of(reply.head)
        anomaly = session.ledger.record_final_read(outcome, observed, boot, t)
        if forced:
            anomaly = max(anomaly, session.ledger.record_forced_login(t, boot))
        if self._form is not None:
            lane.attempts = self._attempt
            record(session, lane, self._form, 0, reply, outcome, Anomaly(anomaly), SWEEP, self._due, t_end)
        wait, most = (0, FORCED_TRIES) if forced else (RETRY_NS, TRIES)  # what lags gets time to catch up
        if not (anomaly and self._sweep.again(self._attempt, session, t_end, wait, most)):
            self._sweep.finished()
        self.next(t_end)
