"""What is known about the running arm, and about the time that is left: folds over what the run reports."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from harness.observations.events import Event
from harness.observations.faults import FaultLog
from harness.observations.replica_count import ReplicaCount
from harness.observations.samples import Snapshot

#: The time of an arm besides its load: starting the parts, settling, the final sweep.
OVERHEAD_S = 1.5
_WINDOW = 6  # snapshots, 200 ms apart, so the rate is that of the last second
_BARS = "▁▂▃▄▅▆▇█"
_TREND_STEPS = 24
_MIN_STEP_S = 0.2  # snapshots are no closer

Clock = Callable[[], float]


def sparkline(values: Iterable[float]) -> str:
    """A bar per value, from 0 to the largest of them: ``▁▄█``."""
    heights = list(values)
    top = max(heights, default=0.0)
    return "".join(_BARS[round((len(_BARS) - 1) * max(value, 0.0) / top) if top > 0 else 0] for value in heights)


@dataclass
class ArmState:
    """What is known about the running arm: a fold over its snapshots and events."""

    design: str
    arm: str
    duration: float  # seconds
    warmup: float  # seconds
    snapshots: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    faults: FaultLog = field(default_factory=FaultLog)
    replicas: ReplicaCount = field(default_factory=ReplicaCount)
    _steps: dict[int, Snapshot] = field(default_factory=dict)  # the last snapshot of each step of the trends

    @property
    def name(self) -> str:
        """The arm in words."""
        arms = {"fault": ", with its faults", "control": ", without faults", "aa": ", without faults, once more"}
        return f"{self.design}{arms.get(self.arm, '')}"

    @property
    def t(self) -> float:
        """Seconds from T0; 0 before the load."""
        return self.snapshots[-1].t if self.snapshots else 0.0

    @property
    def phase(self) -> str:
        """The stage of the arm: starting, warm-up, before, fault, after or sweep."""
        if not self.snapshots:
            return "starting"
        if self.t >= self.duration:
            return "sweep"
        if any(fault.active for fault in self.faults.records):
            return "fault"
        if any(fault.effective is not None for fault in self.faults.records):
            return "after"
        return "warm-up" if self.t < self.warmup else "before"

    @property
    def rate(self) -> float:
        """Requests per second over the last snapshots."""
        if len(self.snapshots) < 2 or self.t <= self.snapshots[0].t:
            return 0.0
        return (self.snapshots[-1].sent - self.snapshots[0].sent) / (self.t - self.snapshots[0].t)

    def show(self, snapshot: Snapshot) -> None:
        """Fold the latest figures of the load process in."""
        self.snapshots.append(snapshot)
        self._steps[int(snapshot.t / max(_MIN_STEP_S, self.duration / _TREND_STEPS))] = snapshot

    def trend(self, read: Callable[[Snapshot], int]) -> list[float]:
        """How fast a count grew, per second, in each step of the arm so far."""
        steps = [Snapshot(0, 0.0), *self._steps.values()]
        return [(read(b) - read(a)) / (b.t - a.t) for a, b in pairwise(steps) if b.t > a.t]

    def take(self, event: Event) -> None:
        """Fold one event in."""
        self.faults.add(event)
        self.replicas.take(event)

    def figures(self) -> Sequence[tuple[str, str]]:
        """The names and values that the views show."""
        last = self.snapshots[-1] if self.snapshots else Snapshot(0, 0.0)
        up, known = self.replicas.up, self.replicas.known
        return (
            ("phase", self.phase),
            ("requests/s", f"{self.rate:,.0f}"),
            ("p99", "-" if last.p99_ms is None else f"{last.p99_ms:.1f} ms"),
            ("replicas up", f"{len(up)}/{len(known)}" if known else "-"),
            ("sessions", f"{last.sessions:,}"),
            ("lost so far", f"{last.sessions_lost:,}"),
        )


@dataclass
class ProgressPlan:
    """Which arm, or which search of ``harness scale``, is running, and how much time is left, by those finished."""

    clock: Clock
    unit: str = "arm"
    index: int = 0
    total: int = 0
    expected: float = 0.0  # seconds per unit
    began: float | None = None  # by the clock; None between two units
    taken: float = 0.0  # seconds that the finished units took

    def start(self, index: int, total: int, expected: float, unit: str = "arm") -> None:
        """The next unit begins; a further trial of a search leaves it as it is. ``expected`` is a guess, in seconds."""
        if self.began is not None and index == self.index:
            return
        self.unit, self.index, self.total, self.began = unit, index, total, self.clock()
        self.expected = self.taken / index if self.taken and index else expected

    def end(self) -> None:
        """The unit is over."""
        self.taken += self._elapsed
        self.began = None

    @property
    def left(self) -> float:
        """About how many seconds are left until the last unit ends."""
        this = max(0.0, self.expected - self._elapsed)
        return this + (self.total - self.index - 1) * self.expected

    @property
    def share(self) -> float:
        """How much of all units is done, from 0 to 1. A unit that takes longer than expected is nearly done."""
        this = min(self._elapsed / self.expected, 0.95) if self.expected else 0.0
        return (self.index + this) / self.total if self.total else 0.0

    @property
    def _elapsed(self) -> float:
        return 0.0 if self.began is None else self.clock() - self.began

    def __str__(self) -> str:
        return f"{self.unit} {self.index + 1} of {self.total}"
