"""What is known of a run in progress: a fold over the lines that it writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.observations.faults import FaultLog
from harness.observations.replica_count import ReplicaCount
from harness.observations.samples import Snapshot
from harness.results.live import ArmStart, LiveLine
from harness.site.plot import Line, Plot, Shade

#: Snapshots come every 200 ms: a rate is that of the last second.
_WINDOW = 5
#: What an arm keeps for its charts. Beyond that, neighbours are merged in pairs.
_MOST_POINTS = 800

_ARMS = {"fault": "with its faults", "control": "without faults", "aa": "without faults, once more"}


@dataclass(frozen=True)
class LivePoint:
    """The state of an arm at one moment."""

    t: float  # seconds from T0
    rate: float  # requests per second over the last second
    p99_ms: float | None
    lost: int  # sessions, before the final read
    up: int  # replicas

    def merge(self, later: "LivePoint") -> "LivePoint":
        """Both as one: what is worst of them stays visible."""
        times = [time for time in (self.p99_ms, later.p99_ms) if time is not None]
        slowest = max(times, default=None)
        return LivePoint(later.t, min(self.rate, later.rate), slowest, later.lost, min(self.up, later.up))


@dataclass
class LiveArm:
    """The arm that is running."""

    start: ArmStart
    points: list[LivePoint] = field(default_factory=list)
    recent: list[Snapshot] = field(default_factory=list)
    faults: FaultLog = field(default_factory=FaultLog)
    replicas: ReplicaCount = field(default_factory=ReplicaCount)

    @property
    def name(self) -> str:
        """The arm in words."""
        return f"{self.start.design}, {_ARMS.get(self.start.arm, self.start.arm)}"

    @property
    def t(self) -> float:
        """Seconds from T0; 0 before the load."""
        return self.recent[-1].t if self.recent else 0.0

    @property
    def phase(self) -> str:
        """Its stage, in words."""
        active = [f"{fault.kind} of {fault.target}" for fault in self.faults.records if fault.active]
        if not self.recent:
            return "starting"
        if self.t >= self.start.duration:
            return "every session is read a last time"
        if active:
            return "under " + " and ".join(active)
        return "warming up" if self.t < self.start.warmup else "under load"

    def take(self, line: LiveLine) -> None:
        """Fold a line in."""
        if line.event is not None:
            self.faults.add(line.event)
            self.replicas.take(line.event)
        if line.snapshot is not None:
            self._take_snapshot(line.snapshot)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        self.recent = [*self.recent[-_WINDOW:], snapshot]
        first = self.recent[0]
        rate = (snapshot.sent - first.sent) / (snapshot.t - first.t) if snapshot.t > first.t else 0.0
        up = len(self.replicas.up)
        self.points.append(LivePoint(snapshot.t, rate, snapshot.p99_ms, snapshot.sessions_lost, up))
        if len(self.points) > _MOST_POINTS:
            self.points = [a.merge(b) for a, b in zip(self.points[::2], self.points[1::2], strict=False)]

    @property
    def plots(self) -> Sequence[Plot]:
        """Its charts, with every fault shaded while it lasts."""
        shades = [
            Shade(fault.effective, fault.healed or max(self.t, fault.effective), f"{fault.kind} of {fault.target}")
            for fault in self.faults.records
            if fault.effective is not None
        ]
        sessions = self.recent[-1].sessions if self.recent else 0
        points = self.points
        lost, up = ([(point.t, float(getattr(point, name))) for point in points] for name in ("lost", "up"))
        series = (
            ("Requests per second", "", Line("", [(point.t, point.rate) for point in points])),
            ("p99", "ms", Line("", [(point.t, point.p99_ms) for point in points])),
            (f"Sessions lost so far, of {sessions:,}", "", Line("", lost)),
            (f"Replicas up, of {len(self.replicas.known)}", "", Line("", up, steps=True)),
        )
        end = max(self.start.duration, self.t)
        return [Plot(title, unit, [line], (0.0, end), shades) for title, unit, line in series]


@dataclass
class LiveRun:
    """A run in progress: the latest arm, and in words those that are over."""

    arm: LiveArm | None = None
    ended: list[str] = field(default_factory=list)

    @property
    def is_loading(self) -> bool:
        """Whether the latest arm goes on. Between arms, controls are measured, which are not shown."""
        return self.arm is not None and len(self.ended) <= self.arm.start.index

    def take(self, lines: Iterable[LiveLine]) -> None:
        """Fold lines in.

        Raises:
            ValueError: the events of a fault contradict each other.
        """
        for line in lines:
            if line.started is not None:
                self.arm = LiveArm(line.started)
            if line.ended is not None:
                self.ended.append(line.ended)
            if self.arm is not None and self.is_loading:
                self.arm.take(line)

    @property
    def status(self) -> str:
        """What goes on, in one line; it changes only when something happens."""
        if self.arm is None:
            return "No arm has begun yet: the controls come first. A run of harness scale has no live figures."
        place = f"Arm {self.arm.start.index + 1} of {self.arm.start.total}"
        if self.is_loading:
            return f"{place}: {self.arm.name}, {self.arm.phase}."
        if len(self.ended) == self.arm.start.total:
            return "All arms are measured; the run is analysed and its report drawn."
        return f"{place} is over; the next is starting."
