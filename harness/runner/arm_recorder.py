"""Records one arm while it runs."""

from dataclasses import asdict, dataclass, field
from typing import Any

from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import UntrustedError
from harness.load.control.channel import Joined, WorkerLost
from harness.observations.events import Event, EventKind
from harness.observations.samples import Snapshot
from harness.results.arm_files import ArmFiles
from harness.runner.progress import Progress
from harness.scenario.arm import Arm


@dataclass
class ArmRecorder:
    """Takes the events, samples and snapshots of one arm, shows them, and writes them to its files."""

    arm: Arm
    files: ArmFiles
    progress: Progress
    clock: Clock = field(default_factory=Clock)
    events: list[Event] = field(default_factory=list)
    topology: Topology | None = None  # set once it is up; its samples stay readable after it goes down
    earlier_samples: int = 0  # how many of its samples belong to earlier loads
    last_snapshot: Snapshot | None = None
    complete: bool = False

    @property
    def now(self) -> float:
        """Seconds from T0; 0 before T0."""
        return self.clock.seconds() if self.clock.started else 0.0

    @property
    def outcome(self) -> str:
        """One line about the arm, from the latest figures of the load process."""
        name, last = f"{self.arm.design.name}, {self.arm.name}", self.last_snapshot
        if last is None:
            return f"{name}: no load"
        lost = f"{last.sessions_lost:,} of {last.sessions:,} sessions lost so far"
        return f"{name}: {last.ok:,} of {last.sent:,} requests ok, {lost}"

    def record_topology(self, topology: Topology) -> None:
        """All parts are up."""
        self.topology = topology
        for replica in topology.replicas:
            self.record_event(Event(0.0, EventKind.REPLICA_READY, replica.name, {"boot": replica.boot}))

    def record_event(self, event: Event) -> None:
        """A one-time event happened."""
        self.events.append(event)
        self.progress.event(event)

    def record_snapshot(self, snapshot: Snapshot) -> None:
        """The load process reported its latest figures."""
        self.last_snapshot = snapshot
        self.progress.snapshot(snapshot)

    def record_worker_joined(self, worker: Joined) -> None:
        """A worker joined the load."""
        facts: dict[str, str | float | None] = {"host": worker.host, "clock_error_ms": worker.clock_error_ms}
        self.record_event(Event(self.now, EventKind.WORKER_JOINED, worker.worker, facts))

    def record_worker_lost(self, worker: WorkerLost) -> None:
        """A worker was lost; the others continue."""
        facts: dict[str, str | int] = {"host": worker.host, "why": worker.why, "sessions": worker.sessions}
        self.record_event(Event(self.now, EventKind.WORKER_LOST, worker.worker, facts))

    def record_failure(self, problem: UntrustedError) -> None:
        """The measurement was aborted."""
        kind = EventKind.PART_DIED if problem.subject else EventKind.BROKEN_OFF
        self.record_event(Event(self.now, kind, problem.subject or "the arm", {"why": problem.message}))

    def save(self) -> None:
        """Write everything to the arm's files."""
        facts: dict[str, Any] = {
            "warmup": self.arm.warmup,
            "duration": self.arm.seconds,
            "complete": self.complete,
            "driver": asdict(self.last_snapshot) if self.last_snapshot else {},
        }
        samples = self.topology.samples[self.earlier_samples :] if self.topology else ()
        refusals = self.topology.balancer.refusals() if self.topology else ()
        self.files.keep(self.events, samples, {refusal.op for refusal in refusals}, facts)
