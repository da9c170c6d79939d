"""The venue: where Locust's users hand over their sessions, and the engine drives them."""

import gc
import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from harness.load.arrivals.pacer import arrivals
from harness.load.arrivals.workload import ClosedWorkload, OpenWorkload, PartlyOpenWorkload
from harness.load.control.plan import WHOLE_LOAD, LoadPlan, Shard
from harness.load.http.event_loop import MS, EventLoop, tune_process
from harness.load.http.response import Response
from harness.load.http.target import Target
from harness.load.recording.live_stats import Lag, LiveStats
from harness.load.recording.locust_stats import LocustStats
from harness.load.recording.meter import CpuMeter
from harness.load.recording.recorder import Recorder, StringTable
from harness.load.sessions.session import Behaviour, LoadContext
from harness.load.sessions.sweep import FinalSweep
from harness.observations.samples import Snapshot
from harness.scenario.rates import peak

STOP_TIMEOUT_S = 10.0
#: WebSockets are left once no other session's message has come for so long: what was sent has arrived, or never will.
QUIET_INTERVAL_S = 2.0


class LoadRunner:
    """One engine, its greenlet, and the users of one Locust environment."""

    def __init__(
        self,
        environment: Any,
        plan: LoadPlan,
        seed: int,
        names: StringTable,
        recorder: Recorder,
        *,
        share: Shard = WHOLE_LOAD,
    ) -> None:
        self.environment = environment
        self.recorder = recorder
        self.engine = EventLoop()
        self.boots: dict[str, str] = {}  # of replicas that do not tell theirs
        self.stage: LoadContext | None = None
        self._names = names
        self._plan = plan
        self._seed = seed
        self._share = share
        self._lag = Lag(self.engine.call_at)
        self._counts = LiveStats(self._lag, CpuMeter(self.engine.call_at))
        self._seats: dict[Behaviour, Event] = {}
        self._crowd: ClosedWorkload | OpenWorkload | PartlyOpenWorkload | None = None
        self._started = False
        recorder.sinks.append(self._counts.add)
        self._lag.start(time.monotonic_ns())

    def seat(self, user: Behaviour) -> None:
        """Drive a user's sessions until it is stopped; blocks its greenlet."""
        done = self._seats[user] = Event()
        if self._crowd is not None and self._started:
            self._crowd.join(user, time.monotonic_ns())
        try:
            done.wait()
        finally:
            self._seats.pop(user, None)
            if self._crowd is not None:
                self._crowd.leave(user)

    def unseat(self, user: Behaviour) -> None:
        """Let a user go; the request under way is still waited for by the engine."""
        if user in self._seats:
            self._seats[user].set()

    def begin(self, url: str, t0: int) -> None:
        """Load ``url`` from ``t0`` on.

        Raises:
            UsageError: not a URL that can be loaded.
        """
        tune_process()
        target = self.engine.target = Target.from_url(url)
        self.stage = LoadContext(
            self.engine, self.recorder, self._names, host=target.host, seed=self._seed, t0=t0, share=self._share
        )
        self.stage.boots = self.boots
        self._crowd = self._crowd_of(self.stage)
        self._keep_statistics(self.stage)
        self.engine.call_at(t0, self._go)

    def _crowd_of(self, stage: LoadContext) -> ClosedWorkload | OpenWorkload | PartlyOpenWorkload:
        plan = self._plan
        if plan.rate is None:
            return ClosedWorkload(stage)
        coming = self._share.select_arrivals(arrivals(plan.arrivals, plan.rate, self._seed))
        if plan.kind == "open":
            return OpenWorkload(stage, coming, peak(plan.rate) / self._share.count)
        return PartlyOpenWorkload(stage, coming, self._recruit)

    def _recruit(self) -> Behaviour:
        classes = self.environment.user_classes
        chosen = random.choices(classes, weights=[kind.weight for kind in classes])[0]
        user: Behaviour = chosen(self.environment)
        return user

    def _keep_statistics(self, stage: LoadContext) -> None:
        # Locust's own listener is the first; where a scenario added another, each request is told to all of them.
        if len(self.environment.events.request._handlers) > 1:
            stage.each = self._fire
        else:
            self.recorder.sinks.append(LocustStats(self.environment.stats, self._names).add)

    def _fire(self, method: str, name: str, reply: Response | None, error: str, times: tuple[int, int]) -> None:
        took = times[1] - times[0]
        self.environment.events.request.fire(
            request_type=method,
            name=name,
            response_time=took / 1e6,
            response_length=len(reply.body) if reply else 0,
            response=reply,
            context={},
            exception=Exception(error) if error else None,
            start_time=time.time() - took / 1e9,
            url=name,
        )

    def _go(self, now: int) -> None:
        assert self._crowd is not None  # noqa: S101 - set by ``begin``
        random.seed(self._seed + self._share.index)
        gc.collect()
        gc.freeze()  # what is here now stays: no collection need look at it again in the timed loop
        self._lag.reset()
        self._counts.reset()
        self._started = True
        for user in list(self._seats):
            self._crowd.join(user, now)
        self._crowd.start(now)

    def snapshot(self) -> Snapshot:
        """Where the load stands; begins a new interval of the counts."""
        stage, crowd = self.stage, self._crowd
        assert stage is not None and crowd is not None  # noqa: S101 - set by ``begin``
        self.recorder.flush()
        t = (time.monotonic_ns() - stage.t0) / 1e9
        return self._counts.snapshot(t, stage.sent, len(stage.sessions), stage.lost, crowd.dropped)

    def drain(self) -> None:
        """Send no further request and wait for those under way; what then has no reply is in doubt."""
        stage = self.stage
        if stage is None or stage.stopping:
            return
        stage.stopping = True
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self.engine.in_flight and time.monotonic() < deadline:
            gevent.sleep(0.005)
        while stage.heard and time.monotonic() < min(deadline, stage.heard / 1e9 + QUIET_INTERVAL_S):
            gevent.sleep(0.005)
        now = time.monotonic_ns()
        for session in stage.sessions:
            session.abandon(now)
            session.let_go(now)
        gevent.sleep(2 * MS / 1e9)  # a turn of the engine, for what it ends in its own time
        self.recorder.flush()

    def sweep(self, rate: float) -> LoadContext:
        """Read every session once more; blocks until done."""
        stage = self.stage
        assert stage is not None  # noqa: S101 - set by ``begin``
        done = Event()
        self.engine.call_at(0, FinalSweep(stage, rate, done.set).start)
        done.wait()
        self.recorder.flush()
        return stage


def spawn(work: Callable[..., None], *args: Any, died: Callable[[BaseException], None]) -> gevent.Greenlet:
    """Run ``work`` in a greenlet; ``died`` is told of any exception."""

    def run() -> None:
        try:
            work(*args)
        except Exception as problem:
            died(problem)

    return gevent.spawn(run)
