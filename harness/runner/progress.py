"""What a terminal shows during a run: a live view, plain lines for a log, or nothing. Everything goes to stderr."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.common.durations import format_duration, parse_seconds
from harness.observations.events import Event, EventKind
from harness.observations.faults import FaultLog
from harness.observations.samples import Snapshot
from harness.scenario.scenario import Scenario

#: The time of an arm besides its load: starting the parts, settling, the final sweep.
OVERHEAD_S = 1.5
#: The time of the controls before the first arm, and of the analysis and the charts after the last.
CONTROLS_S = 12.0
#: The time of the echo, which is repeated in every further round.
ECHO_S = 3.0
_SHOWN_EVENTS = (EventKind.FAULT_EFFECTIVE, EventKind.FAULT_HEALED, EventKind.PART_DIED, EventKind.BROKEN_OFF)
_WINDOW = 6  # snapshots, 200 ms apart, so the rate is that of the last second
_LINE_INTERVAL_S = 5.0

Clock = Callable[[], float]


def estimate(scenario: Scenario, repeat: int = 1) -> str:
    """How long a run will take: ``8 arms, about 3 min 40 s``."""
    arms = [arm for arm, _ in scenario.rounds(repeat)]
    total = CONTROLS_S + (repeat - 1) * ECHO_S + sum(parse_seconds(arm.load.duration) + OVERHEAD_S for arm in arms)
    return f"{len(arms)} {'arm' if len(arms) == 1 else 'arms'}, about {format_duration(total)}"


class Progress:
    """Shows the progress of a run; this one shows nothing. A scope: at its end the terminal is as it was before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def announce(self, scenario: Scenario, repeat: int = 1) -> None:
        """A run is about to begin; show how long it will take."""

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Arm ``index`` (from 0) of ``total`` is being started; its load lasts ``duration`` seconds."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """The load process reported its latest figures."""

    def event(self, event: Event) -> None:
        """A one-time event happened."""

    def arm_ended(self, line: str) -> None:
        """The arm is over; ``line`` is its outcome."""


Silent = Progress


@dataclass
class ArmState:
    """What is known about the running arm: a fold over its snapshots and events."""

    design: str
    arm: str
    duration: float  # seconds
    warmup: float  # seconds
    snapshots: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    faults: FaultLog = field(default_factory=FaultLog)
    replicas: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The arm in words."""
        arms = {"fault": "with its faults", "control": "without faults", "aa": "without faults, once more"}
        return f"{self.design}, {arms[self.arm]}"

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

    def take(self, event: Event) -> None:
        """Fold one event in."""
        self.faults.add(event)
        if event.kind in (EventKind.REPLICA_READY, EventKind.FAULT_HEALED):
            self.up.add(event.subject)
        if event.kind == EventKind.REPLICA_READY:
            self.replicas.add(event.subject)
        if event.kind in (EventKind.FAULT_EFFECTIVE, EventKind.PART_DIED):
            self.up.discard(event.subject)

    def figures(self) -> Sequence[tuple[str, str]]:
        """The names and values that the views show."""
        last = self.snapshots[-1] if self.snapshots else Snapshot(0, 0.0)
        return (
            ("phase", self.phase),
            ("requests/s", f"{self.rate:,.0f}"),
            ("p99", "-" if last.p99_ms is None else f"{last.p99_ms:.1f} ms"),
            ("replicas up", f"{len(self.up & self.replicas)}/{len(self.replicas)}" if self.replicas else "-"),
            ("sessions", f"{last.sessions:,}"),
            ("lost so far", f"{last.sessions_lost:,}"),
        )


@dataclass
class ProgressPlan:
    """Which arm is running, and how much time is left, estimated from the finished arms."""

    clock: Clock
    index: int = 0
    total: int = 0
    expected: float = 0.0  # seconds per arm
    began: float = 0.0
    taken: float = 0.0  # seconds that the finished arms took

    def start(self, index: int, total: int, duration: float) -> None:
        """The next arm begins."""
        self.index, self.total, self.began = index, total, self.clock()
        self.expected = self.taken / index if self.taken and index else duration + OVERHEAD_S

    def end(self) -> None:
        """The arm is over."""
        self.taken += self.clock() - self.began

    @property
    def left(self) -> float:
        """About how many seconds are left until the last arm ends."""
        this = max(0.0, self.expected - (self.clock() - self.began))
        return this + (self.total - self.index - 1) * self.expected

    def __str__(self) -> str:
        return f"arm {self.index + 1} of {self.total}"


class PlainProgress(Progress):
    """Lines for a log, without control characters: the start and end of an arm, each fault, the state in between."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic, interval_s: float = _LINE_INTERVAL_S) -> None:
        self._stream = stream
        self._clock = clock
        self._interval_s = interval_s
        self._plan = ProgressPlan(clock)
        self._arm: ArmState | None = None
        self._last_line = 0.0  # by the clock

    def announce(self, scenario: Scenario, repeat: int = 1) -> None:
        """Print one line."""
        self._say(estimate(scenario, repeat))

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Print one line."""
        self._plan.start(index, total, duration)
        self._arm = ArmState(design, arm, duration, warmup)
        self._last_line = self._clock()
        self._say(f"{self._plan}: {self._arm.name}; about {format_duration(self._plan.left)} left")

    def snapshot(self, snapshot: Snapshot) -> None:
        """Print one line every few seconds."""
        if self._arm is None:
            return
        self._arm.snapshots.append(snapshot)
        if self._clock() - self._last_line >= self._interval_s:
            self._last_line = self._clock()
            self._say(f"  {snapshot.t:5.1f} s  " + ", ".join(f"{name} {value}" for name, value in self._arm.figures()))

    def event(self, event: Event) -> None:
        """Print one line for a fault, a repair or a death."""
        if self._arm is not None:
            self._arm.take(event)
        if event.kind in _SHOWN_EVENTS:
            self._say(_describe(event))

    def arm_ended(self, line: str) -> None:
        """Print one line."""
        self._plan.end()
        self._say(f"  {line}")
        self._arm = None

    def _say(self, line: str) -> None:
        print("".join(c for c in line if c.isprintable()), file=self._stream, flush=True)


class LiveProgress(Progress):
    """A few lines at the bottom of a terminal that follow the run; finished arms scroll away above them."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._plan = ProgressPlan(clock)
        self._arm: ArmState | None = None
        # stdout is for results: it stays untouched, even while the view is up.
        self._live = Live(console=console, get_renderable=self.view, redirect_stdout=False, transient=True)

    def announce(self, scenario: Scenario, repeat: int = 1) -> None:
        """Print a line that stays."""
        self._live.console.print(Text(estimate(scenario, repeat)))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arm = None
        self._live.stop()

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Show the next arm."""
        self._plan.start(index, total, duration)
        self._arm = ArmState(design, arm, duration, warmup)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Store the figures; the view is drawn four times per second."""
        if self._arm is not None:
            self._arm.snapshots.append(snapshot)

    def event(self, event: Event) -> None:
        """Print a line that stays for a fault, a repair or a death."""
        if self._arm is not None:
            self._arm.take(event)
        if event.kind in _SHOWN_EVENTS:
            self._live.console.print(Text(_describe(event), style="bold"))

    def arm_ended(self, line: str) -> None:
        """Print a line that stays for the arm."""
        self._plan.end()
        self._live.console.print(Text(line))
        self._arm = None

    def view(self) -> Group:
        """The lines at the bottom of the terminal."""
        if self._arm is None:
            return Group(Text("getting ready", style="dim"))
        grid = Table.grid(padding=(0, 3))
        figures = self._arm.figures()
        grid.add_row(*(Text(name, style="dim") for name, _ in figures))
        grid.add_row(*(Text(value, style="bold") for _, value in figures))
        head = f"{self._plan}: {self._arm.name}  {self._arm.t:.0f}/{self._arm.duration:.0f} s"
        return Group(Text(f"{head}, about {format_duration(self._plan.left)} left"), grid)


def _describe(event: Event) -> str:
    if event.kind in (EventKind.PART_DIED, EventKind.BROKEN_OFF):
        return f"  {event.t:5.1f} s  unknown: {event.detail.get('why', event.subject)}"
    effect = {EventKind.FAULT_EFFECTIVE: "took effect", EventKind.FAULT_HEALED: "was undone"}[EventKind(event.kind)]
    fault = f"{event.detail['kind']} of " if "kind" in event.detail else ""
    return f"  {event.t:5.1f} s  {fault}{event.subject} {effect}"


def progress(stream: TextIO | None = None, quiet: bool = False) -> Progress:
    """The view that fits ``stream`` (stderr): live in a terminal, lines elsewhere, nothing if ``quiet``."""
    stream = stream or sys.stderr
    if quiet:
        return Silent()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(Console(file=stream))
    return PlainProgress(stream)
