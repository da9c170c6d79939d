"""Workloads begin sessions and decide when each request is due: closed, partly open, open (Schroeder, NSDI'06)."""

import time
from collections import deque
from collections.abc import Callable, Iterator

from harness.load.sessions.behaviour import Behaviour
from harness.load.sessions.context import LoadContext
from harness.load.sessions.registry import SessionRegistry
from harness.load.sessions.scheduling import Actor
from harness.load.sessions.session import Session
from harness.observations.requests import DROPPED, NO_SESSION, NO_TIME, RECORD_FIELDS, Outcome
from harness.observations.samples import LATE_NS

#: An open load's queue holds at most this many seconds of arrivals; further ones are dropped, and counted.
MAX_QUEUE_S = 10
#: How long a user pauses whose session ended without having sent anything, so that it does not spin.
EMPTY_SESSION_INTERVAL_NS = 1_000_000_000


class _UserPool:
    """Users that each hold one session, and get a new one when it ends."""

    def __init__(self, registry: SessionRegistry) -> None:
        self._registry = registry
        self._context = registry.context
        self._started = False
        self._sessions: dict[Behaviour, Session | None] = {}

    @property
    def dropped(self) -> int:
        """Arrivals that were given up: none, since none arrive."""
        return 0

    @property
    def queued(self) -> int:
        """Requests that were sent late because no session was free."""
        return 0

    def join(self, user: Behaviour, now: int) -> None:
        """A user is there; its first session begins with the load."""
        self._sessions[user] = None
        if self._started:
            self._begin(user, now)

    def stop(self, now: int) -> None:
        """The load stops. Nothing waits that would have to be given up."""

    def leave(self, user: Behaviour) -> None:
        """A user goes: what is under way ends, nothing further is sent."""
        session = self._sessions.pop(user, None)
        if session is not None:
            session.retired = True
            if not session.busy:
                session.close_connections(time.monotonic_ns())

    def start(self, now: int) -> None:
        """Begin the load."""
        self._started = True
        for user in list(self._sessions):
            self._begin(user, now)

    def on_session_end(self, session: Actor, now: int) -> None:
        """Begin a new session for the user."""
        if session.user not in self._sessions or session.retired or self._context.stopping:
            return
        if session.requests:
            self._begin(session.user, now)
        else:
            self._context.log_once(f"{type(session.user).__name__}.session() ended without any request")
            self._context.event_loop.call_at(
                now + EMPTY_SESSION_INTERVAL_NS, lambda later: self._begin_again(session.user, later)
            )

    def _begin_again(self, user: Behaviour, now: int) -> None:
        if user in self._sessions and not self._context.stopping:
            self._begin(user, now)

    def _begin(self, user: Behaviour, now: int) -> None:
        session = self._sessions[user] = self._registry.begin(user, self)
        session.advance(None, now)

    def schedule(self, session: Actor, now: int) -> None:
        """Decide when the next request is sent; subclasses define it."""
        raise NotImplementedError


def send_after_think_time(context: LoadContext, session: Actor, now: int) -> None:
    """Send after the waiting time that the user itself defines."""
    wait = session.user.wait_time()
    if wait <= 0:
        session.t_intended = now
        session.send(now)
    else:
        session.t_intended = now + round(wait * 1e9)
        context.event_loop.call_at(session.t_intended, session.wake)


class ClosedWorkload(_UserPool):
    """A fixed number of users: each waits, sends a request, and waits for the reply. It waits before the first too."""

    def schedule(self, session: Actor, now: int) -> None:
        """Send after the user's waiting time."""
        send_after_think_time(self._context, session, now)


class _Arrivals:
    """Hands over each arrival when its time has come, until the load stops or no more come."""

    def __init__(self, context: LoadContext, arrivals: Iterator[int], take: Callable[[int, int], None]) -> None:
        self._context = context
        self._arrivals = arrivals
        self._take = take
        self._next: int | None = None

    def start(self) -> None:
        """Begin to wait for the first."""
        self._advance()
        self._wait()

    def _advance(self) -> None:
        after_t0 = next(self._arrivals, None)
        self._next = None if after_t0 is None else self._context.t0 + after_t0

    def overdue(self, now: int) -> Iterator[int]:
        """The arrivals until now that were not handed over: the load stopped first."""
        while self._next is not None and self._next <= now:
            yield self._next
            self._advance()

    def _wait(self) -> None:
        if self._next is not None:
            self._context.event_loop.call_at(self._next, self._arrive)

    def _arrive(self, now: int) -> None:
        if self._context.stopping:
            return
        while self._next is not None and self._next <= now:
            self._take(self._next, now)
            self._advance()
        self._wait()


class OpenWorkload(_UserPool):
    """Requests arrive on their own; each goes to the session that has been idle for longest.

    If none is idle the arrival queues, and its latency counts from the arrival all the same.
    """

    def __init__(self, registry: SessionRegistry, arrivals: Iterator[int], rate: float) -> None:
        super().__init__(registry)
        self._arrivals = _Arrivals(registry.context, arrivals, self._take)
        self._max_queue = max(1, round(rate * MAX_QUEUE_S))
        self._idle: deque[Actor] = deque()
        self._queue: deque[int] = deque()
        self._rejected = 0
        self._queued = 0

    @property
    def dropped(self) -> int:
        """The arrivals that found the queue full, and those that still wait when the load stops."""
        return self._rejected + (len(self._queue) if self._context.stopping else 0)

    @property
    def queued(self) -> int:
        """Requests that were sent late because no session was free."""
        return self._queued

    def start(self, now: int) -> None:
        """Begin the sessions, then the arrivals."""
        super().start(now)
        self._arrivals.start()

    def _take(self, arrival: int, now: int) -> None:
        while self._idle:
            session = self._idle.popleft()
            if not session.retired:
                session.t_intended = arrival
                session.wake(now)
                return
        if len(self._queue) < self._max_queue:
            self._queue.append(arrival)
        else:
            self._rejected += 1
            self._record_dropped(arrival, now)

    def stop(self, now: int) -> None:
        """Give up the arrivals that still wait, or that were due and not noticed."""
        overdue = list(self._arrivals.overdue(now))
        self._rejected += len(overdue)
        for arrival in (*self._queue, *overdue):
            self._record_dropped(arrival, now)

    def _record_dropped(self, arrival: int, now: int) -> None:
        fields = {"session": NO_SESSION, "writer": NO_SESSION, "outcome": Outcome.FAILED, "phase": DROPPED}
        times = {"t_intended": arrival, "t_sent": now, "t_first": NO_TIME, "t_end": now}
        self._context.recorder.add(*({**fields, **times}.get(name, 0) for name in RECORD_FIELDS))

    def schedule(self, session: Actor, now: int) -> None:
        """Send at once if an arrival is waiting, else with the next arrival."""
        if self._queue:
            session.t_intended = self._queue.popleft()
            self._queued += now - session.t_intended > LATE_NS
            session.send(now)
        else:
            self._idle.append(session)


class PartlyOpenWorkload:
    """Sessions arrive on their own. In each, one request follows another until its generator ends."""

    dropped = queued = 0

    def __init__(self, registry: SessionRegistry, arrivals: Iterator[int], new_user: Callable[[], Behaviour]) -> None:
        self._registry = registry
        self._context = registry.context
        self._arrivals = _Arrivals(registry.context, arrivals, self._take)
        self._new_user = new_user

    def join(self, user: Behaviour, now: int) -> None:
        """Do nothing: a user is made for each arrival, and those that Locust spawned are not used."""

    def leave(self, user: Behaviour) -> None:
        """Do nothing: see ``join``."""

    def stop(self, now: int) -> None:
        """Do nothing: no arrival waits."""

    def start(self, now: int) -> None:
        """Begin the arrivals."""
        self._arrivals.start()

    def _take(self, arrival: int, now: int) -> None:
        session = self._registry.begin(self._new_user(), self)
        session.t_intended = arrival
        session.advance(None, now)

    def schedule(self, session: Actor, now: int) -> None:
        """Send the first request with the arrival, the others after the user's waiting time."""
        if session.requests == 0:
            session.send(now)
        else:
            send_after_think_time(self._context, session, now)

    def on_session_end(self, session: Actor, now: int) -> None:
        """Do nothing: the session has left."""
