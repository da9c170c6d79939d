"""Live metrics of a run for Prometheus, from the same callbacks as the terminal view."""

from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.observations.events import Event
from harness.observations.replica_count import ReplicaCount
from harness.observations.samples import Snapshot
from harness.runner.progress import Progress

_OUTCOMES = ("sent", "ok", "failed", "in_doubt")


class Exporter(Progress):
    """Serves ``/metrics`` on loopback for the length of a scope. Every figure has the labels ``design`` and ``arm``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests, by outcome.", ("outcome",))
        self._sessions = self._counter("sessions", "Sessions that began.")
        self._lost = self._counter("sessions_lost", "Of these, lost, before the final read.")
        self._p99 = self._gauge("latency_p99_seconds", "99th percentile of the last interval, from the intended start.")
        self._lag = self._gauge("driver_lag_p99_seconds", "How late the load process's own loop is.")
        self._up = self._gauge("replica_up", "Whether a replica is up.", ("replica",))
        self._replicas = ReplicaCount()
        self._arm = ("", "")
        self._counted = Snapshot(0, 0.0)  # the figures of the arm that the counters include

    def _counter(self, name: str, description: str, more: tuple[str, ...] = ()) -> Counter:
        return Counter(f"harness_{name}", description, ("design", "arm", *more), registry=self.registry)

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
        self._arm, self._counted, self._replicas = (design, arm), Snapshot(0, 0.0), ReplicaCount()

    def snapshot(self, snapshot: Snapshot) -> None:
        """Set the figures. A snapshot counts from the start of its arm, a counter over all rounds of the arm."""
        before, self._counted = self._counted, snapshot
        for outcome in _OUTCOMES:
            more = getattr(snapshot, outcome) - getattr(before, outcome)
            self._requests.labels(*self._arm, outcome).inc(max(0, more))
        self._sessions.labels(*self._arm).inc(max(0, snapshot.sessions - before.sessions))
        self._lost.labels(*self._arm).inc(max(0, snapshot.sessions_lost - before.sessions_lost))
        for gauge, value in ((self._p99, snapshot.p99_ms), (self._lag, snapshot.lag_p99_ms)):
            if value is not None:
                gauge.labels(*self._arm).set(value / 1000)

    def event(self, event: Event) -> None:
        """A replica came up or went down."""
        before = set(self._replicas.known)
        self._replicas.take(event)
        for name in before | self._replicas.known:
            self._up.labels(*self._arm, name).set(name in self._replicas.up)
