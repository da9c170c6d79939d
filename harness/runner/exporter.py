"""Live metrics of a run for Prometheus, from the same callbacks as the terminal view."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.observations.events import Event, EventKind
from harness.observations.samples import Snapshot
from harness.runner.progress import Progress
from harness.scenario.scenario import Scenario

_OUTCOMES = ("sent", "ok", "failed", "in_doubt")


class Exporter(Progress):
    """Serves ``/metrics`` on loopback for the length of a scope. Every figure has the labels ``design`` and ``arm``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.registry = CollectorRegistry()
        self._requests = self._gauge("requests", "Requests of this arm so far, by outcome.", ("outcome",))
        self._sessions = self._gauge("sessions", "Sessions that began in this arm.")
        self._lost = self._gauge("sessions_lost", "Of these, lost so far, before the final read.")
        self._p99 = self._gauge("latency_p99_seconds", "99th percentile of the last interval, from the intended start.")
        self._lag = self._gauge("driver_lag_p99_seconds", "How late the load process's own loop is.")
        self._up = self._gauge("replica_up", "Whether a replica is up.", ("replica",))
        self._arm = ("", "")

    def _gauge(self, name: str, description: str, more: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"harness_{name}", description, ("design", "arm", *more), registry=self.registry)

    def __enter__(self) -> Self:
        try:
            self._server, self._thread = start_http_server(self._port, LOOPBACK, self.registry)
        except OSError as problem:
            raise EnvironmentLacksError(
                f"port {self._port} for metrics is taken: {problem.strerror}", "choose another --prometheus-port"
            ) from problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Label the following figures with this arm."""
        self._arm = (design, arm)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Set the figures, which are cumulative."""
        for outcome in _OUTCOMES:
            self._requests.labels(*self._arm, outcome).set(getattr(snapshot, outcome))
        self._sessions.labels(*self._arm).set(snapshot.sessions)
        self._lost.labels(*self._arm).set(snapshot.sessions_lost)
        for gauge, value in ((self._p99, snapshot.p99_ms), (self._lag, snapshot.lag_p99_ms)):
            if value is not None:
                gauge.labels(*self._arm).set(value / 1000)

    def event(self, event: Event) -> None:
        """A replica came up or went down."""
        if event.kind in (EventKind.REPLICA_READY, EventKind.FAULT_HEALED):
            self._up.labels(*self._arm, event.subject).set(1)
        if event.kind in (EventKind.FAULT_EFFECTIVE, EventKind.PART_DIED):
            self._up.labels(*self._arm, event.subject).set(0)


class CompositeProgress(Progress):
    """Forwards every call to several views."""

    def __init__(self, parts: Sequence[Progress]) -> None:
        self._parts = parts

    def __enter__(self) -> Self:
        for part in self._parts:
            part.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in reversed(self._parts):
            part.__exit__(kind, problem, trace)

    def announce(self, scenario: Scenario, repeat: int = 1) -> None:
        """Forward the call."""
        for part in self._parts:
            part.announce(scenario, repeat)

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Forward the call."""
        for part in self._parts:
            part.arm_started(design, arm, index, total, duration, warmup=warmup)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Forward the call."""
        for part in self._parts:
            part.snapshot(snapshot)

    def event(self, event: Event) -> None:
        """Forward the call."""
        for part in self._parts:
            part.event(event)

    def arm_ended(self, line: str) -> None:
        """Forward the call."""
        for part in self._parts:
            part.arm_ended(line)
