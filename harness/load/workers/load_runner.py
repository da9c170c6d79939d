"""Runs the load of one process: Locust's users hand over their sessions, and the event loop drives them."""

import gc
import itertools
import random
import time
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
from harness.load.sessions.behaviour import Behaviour
from harness.load.sessions.context import LoadContext
from harness.load.sessions.registry import SessionRegistry
from harness.load.sessions.sweep import FinalSweep
from harness.observations.samples import Snapshot
from harness.oracle.history import SessionHistory
from harness.scenario.rates import peak

STOP_TIMEOUT_S = 10.0
#: WebSockets are left once no other session's message has come for so long: what was sent has arrived, or never will.
QUIET_INTERVAL_S = 2.0
_POLL_INTERVAL_S = 0.005


class LoadRunner:
    """One event loop, its greenlet, and the users of one Locust environment."""

    def __init__(
        self,
        environment: Any,
        plan: LoadPlan,
        seed: int,
        names: StringTable,
        recorder: Recorder,
        *,
        shard: Shard = WHOLE_LOAD,
    ) -> None:
        self.environment = environment
        self.recorder = recorder
        self.event_loop = EventLoop()
        self.boots: dict[str, str] = {}  # of replicas that do not report their own
        self.registry: SessionRegistry | None = None  # from the beginning of the load on
        self._names = names
        self._plan = plan
        self._seed = seed
        self._shard = shard
        self._lag = Lag(self.event_loop.call_at)
        self._live_stats = LiveStats(self._lag, CpuMeter(self.event_loop.call_at))
        self._stop_events: dict[Behaviour, Event] = {}
        self._workload: ClosedWorkload | OpenWorkload | PartlyOpenWorkload | None = None
        self._started = False
        self._queued_in_warmup = 0
        recorder.sinks.append(self._live_stats.add)
        self._lag.start(time.monotonic_ns())

    def run_user(self, user: Behaviour) -> None:
        """Drive a user's sessions until it is stopped; blocks its greenlet."""
        stop = self._stop_events[user] = Event()
        if self._workload is not None and self._started:
            self._workload.join(user, time.monotonic_ns())
        try:
            stop.wait()
        finally:
            self._stop_events.pop(user, None)
            if self._workload is not None:
                self._workload.leave(user)

    def stop_user(self, user: Behaviour) -> None:
        """Let a user go; the request under way is still waited for by the event loop."""
        if user in self._stop_events:
            self._stop_events[user].set()

    def begin(self, url: str, t0: int, warmup: int = 0, duration: int | None = None) -> None:
        """Load ``url`` from ``t0`` on; delays of this process count after ``warmup`` ns.

        Nothing arrives after ``duration`` ns, however late this process notices that the load is over.

        Raises:
            UsageError: not a URL that can be loaded.
        """
        tune_process()
        target = self.event_loop.target = Target.from_url(url)
        context = LoadContext(self.event_loop, self.recorder, self._names, host=target.host, seed=self._seed, t0=t0)
        context.boots = self.boots
        self.registry = SessionRegistry(context, self._shard)
        self._workload = self._make_workload(self.registry, duration)
        self._connect_statistics(context)
        self.event_loop.call_at(t0, self._start_workload)
        self.event_loop.call_at(t0 + warmup, self._begin_to_measure)

    def _make_workload(
        self, registry: SessionRegistry, duration: int | None
    ) -> ClosedWorkload | OpenWorkload | PartlyOpenWorkload:
        plan = self._plan
        if plan.rate is None:
            return ClosedWorkload(registry)
        shared = self._shard.select_arrivals(arrivals(plan.arrivals, plan.rate, self._seed))
        if duration is not None:
            shared = itertools.takewhile(lambda arrival: arrival < duration, shared)
        if plan.kind == "open":
            return OpenWorkload(registry, shared, peak(plan.rate) / self._shard.count)
        return PartlyOpenWorkload(registry, shared, self._new_user)

    def _new_user(self) -> Behaviour:
        classes = self.environment.user_classes
        user_class = random.choices(classes, weights=[kind.weight for kind in classes])[0]
        user: Behaviour = user_class(self.environment)
        return user

    def _connect_statistics(self, context: LoadContext) -> None:
        # Locust's own listener is the first; if a scenario added another, all of them get each request.
        if len(self.environment.events.request._handlers) > 1:
            context.request_hook = self._fire
        else:
            self.recorder.sinks.append(LocustStats(self.environment.stats, self._names).add)

    def _fire(self, method: str, name: str, reply: Response | None, error: str, times: tuple[int, int]) -> None:
        duration_ns = times[1] - times[0]
        self.environment.events.request.fire(
            request_type=method,
            name=name,
            response_time=duration_ns / 1e6,
            response_length=len(reply.body) if reply else 0,
            response=reply,
            context={},
            exception=Exception(error) if error else None,
            start_time=time.time() - duration_ns / 1e9,
            url=name,
        )

    def _start_workload(self, now: int) -> None:
        assert self._workload is not None  # noqa: S101 - set by ``begin``
        random.seed(self._seed + self._shard.index)
        gc.collect()
        gc.freeze()  # what is here now stays: no collection need look at it again in the timed loop
        self._live_stats.reset()
        self._started = True
        for user in list(self._stop_events):
            self._workload.join(user, now)
        self._workload.start(now)

    def _begin_to_measure(self, _: int) -> None:
        """Discard what is known of the delays of this process: the warm-up is over."""
        self.recorder.flush()
        self._live_stats.forget_late_starts()
        self._queued_in_warmup = self._workload.queued if self._workload is not None else 0
        self._lag.reset()

    def snapshot(self) -> Snapshot:
        """The state of the load; begins a new interval of the statistics."""
        registry, workload = self._begun, self._workload
        assert workload is not None  # noqa: S101 - set by ``begin``
        self.recorder.flush()
        context = registry.context
        t = (time.monotonic_ns() - context.t0) / 1e9
        return self._live_stats.snapshot(
            t,
            context.sent,
            registry.count_started(),
            context.sessions_lost,
            workload.dropped,
            queued=workload.queued - self._queued_in_warmup,
        )

    def drain(self) -> None:
        """Send no further request and wait for those under way; any that then has no reply is in doubt."""
        if self.registry is None or self.registry.context.stopping:
            return
        context = self.registry.context
        context.stopping = True
        self._lag.stop()
        if self._workload is not None:
            self._workload.stop(time.monotonic_ns())
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self.event_loop.in_flight and time.monotonic() < deadline:
            gevent.sleep(_POLL_INTERVAL_S)
        while (last := context.last_peer_message) and time.monotonic() < min(deadline, last / 1e9 + QUIET_INTERVAL_S):
            gevent.sleep(_POLL_INTERVAL_S)
        now = time.monotonic_ns()
        for session in self.registry.sessions:
            session.abandon(now)
            session.close_connections(now)
        gevent.sleep(2 * MS / 1e9)  # a turn of the event loop, for what it ends in its own time
        self.recorder.flush()

    def sweep(self, rate: float) -> list[SessionHistory]:
        """Read every session once more; blocks until done. Returns what their ledgers then hold."""
        done = Event()
        self.event_loop.call_at(0, FinalSweep(self._begun, rate, done.set).start)
        done.wait()
        self.recorder.flush()
        return self._begun.histories()

    @property
    def _begun(self) -> SessionRegistry:
        assert self.registry is not None  # noqa: S101 - set by ``begin``
        return self.registry
