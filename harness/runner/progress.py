"""What a terminal shows during a run: a live view, plain lines for a log, or nothing. Everything goes to stderr."""

import os
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.common.console import SafeConsole
from harness.common.durations import format_duration, parse_seconds
from harness.common.terminal import write
from harness.observations.events import Event, EventKind, describe_forced
from harness.observations.samples import Snapshot
from harness.runner.arm_state import OVERHEAD_S, ArmState, Clock, ProgressPlan, sparkline
from harness.scenario.scenario import Scenario

#: The time of the controls before the first arm, and of the analysis and the charts after the last.
CONTROLS_S = 12.0
#: The time of the echo, which is repeated in every further round.
ECHO_S = 3.0
_SHOWN_EVENTS = (EventKind.FAULT_EFFECTIVE, EventKind.FAULT_HEALED, EventKind.PART_DIED, EventKind.BROKEN_OFF)
_LINE_INTERVAL_S = 5.0


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
        self.say(estimate(scenario, repeat))

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def stage(self, what: str) -> None:
        """Work begins that belongs to no arm, such as the calibration or the analysis; it lasts until the next."""

    def trial_started(self, search: str, index: int, total: int, duration: float, expected: float) -> None:
        """A trial of search ``index`` (from 0) of ``total`` is being started.

        Its load lasts ``duration`` seconds; the whole search is guessed to take ``expected`` seconds.
        """

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


class PlainProgress(Progress):
    """Lines for a log, without control characters: the start and end of an arm, each fault, the state in between."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic, interval_s: float = _LINE_INTERVAL_S) -> None:
        self._stream = stream
        self._clock = clock
        self._interval_s = interval_s
        self._plan = ProgressPlan(clock)
        self._arm: ArmState | None = None
        self._last_line = 0.0  # by the clock

    def say(self, line: str) -> None:
        """Print one line."""
        write(self._stream, line)

    def stage(self, what: str) -> None:
        """Print one line."""
        self.say(what)

    def arm_started(
        self, design: str, arm: str, index: int, total: int, duration: float, *, warmup: float = 0.0
    ) -> None:
        """Print one line."""
        self._plan.start(index, total, duration + OVERHEAD_S)
        self._follow(ArmState(design, arm, duration, warmup))

    def trial_started(self, search: str, index: int, total: int, duration: float, expected: float) -> None:
        """Print one line."""
        self._plan.start(index, total, expected, "search")
        self._follow(ArmState(search, "", duration, 0.0))

    def _follow(self, arm: ArmState) -> None:
        self._arm = arm
        self._last_line = self._clock()
        self.say(f"{self._plan}: {arm.name}; about {format_duration(self._plan.left)} left")

    def snapshot(self, snapshot: Snapshot) -> None:
        """Print one line every few seconds."""
        if self._arm is None:
            return
        self._arm.show(snapshot)
        if self._clock() - self._last_line >= self._interval_s:
            self._last_line = self._clock()
            self.say(f"  {snapshot.t:5.1f} s  " + ", ".join(f"{name} {value}" for name, value in self._arm.figures()))

    def event(self, event: Event) -> None:
        """Print one line for a fault, a repair or a death."""
        if self._arm is not None:
            self._arm.take(event)
        if event.kind in _SHOWN_EVENTS:
            self.say(_describe(event))

    def arm_ended(self, line: str) -> None:
        """Print one line."""
        self._plan.end()
        self.say(f"  {line}")
        self._arm = None


class LiveProgress(Progress):
    """A few lines at the bottom of a terminal that follow the run; finished arms scroll away above them."""

    def __init__(self, console: SafeConsole, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._plan = ProgressPlan(clock)
        self._arm: ArmState | None = None
        self._console = console
        self._spinner = Spinner("line")  # ASCII, for every terminal
        self.stage("getting ready")
        # stdout is for results: it stays untouched, even while the view is up.
        self._live = Live(console=console, get_renderable=self.view, redirect_stdout=False, transient=True)

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(line))

    def stage(self, what: str) -> None:
        """Show what is being done, and for how long, until the next stage or arm."""
        self._stage, self._stage_began = what, self._clock()

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
        self._plan.start(index, total, duration + OVERHEAD_S)
        self._arm = ArmState(design, arm, duration, warmup)

    def trial_started(self, search: str, index: int, total: int, duration: float, expected: float) -> None:
        """Show the next trial; the bar is that of all searches."""
        self._plan.start(index, total, expected, "search")
        self._arm = ArmState(search, "", duration, 0.0)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Store the figures; the view is drawn four times per second."""
        if self._arm is not None:
            self._arm.show(snapshot)

    def event(self, event: Event) -> None:
        """Print a line that stays for a fault, a repair or a death."""
        if self._arm is not None:
            self._arm.take(event)
        if event.kind in _SHOWN_EVENTS:
            self._console.print(Text(_describe(event), style="bold"))

    def arm_ended(self, line: str) -> None:
        """Print a line that stays for the arm."""
        self._plan.end()
        self.say(line)
        self.stage("ending the parts, starting the next")
        self._arm = None

    def view(self) -> RenderableType:
        """The lines at the bottom of the terminal."""
        if self._arm is None:
            self._spinner.update(text=Text(f"{self._stage}  {self._clock() - self._stage_began:.0f} s", style="dim"))
            return self._spinner
        grid = Table.grid(padding=(0, 3))
        figures = self._arm.figures()
        grid.add_row(*(Text(name, style="dim") for name, _ in figures))
        grid.add_row(*(Text(value, style="bold") for _, value in figures))
        head = f"{self._plan}: {self._arm.name}  {self._arm.t:.0f}/{self._arm.duration:.0f} s"
        left = Text(f"{head}, about {format_duration(self._plan.left)} left")
        bar = Padding(ProgressBar(1.0, self._plan.share), 0)  # which ends its line; a bar alone does not
        return Group(left, bar, grid, *self._trends(self._arm))

    def _trends(self, arm: ArmState) -> list[Text]:
        """The history of the arm in two lines of bars; none where a terminal cannot show them."""
        if not self._console.encoding.lower().startswith("utf"):
            return []
        trends = (
            ("ok/s  ", arm.trend(lambda snapshot: snapshot.ok), "green"),
            ("lost/s", arm.trend(lambda snapshot: snapshot.sessions_lost), "red"),
        )
        return [
            Text.assemble((f"{name} ", "dim"), (sparkline(values), color), f"  {max(values, default=0):,.0f} at most")
            for name, values, color in trends
        ]


def _describe(event: Event) -> str:
    if event.kind in (EventKind.PART_DIED, EventKind.BROKEN_OFF):
        return f"  {event.t:5.1f} s  unknown: {event.detail.get('why', event.subject)}"
    effect = {EventKind.FAULT_EFFECTIVE: "took effect", EventKind.FAULT_HEALED: "was undone"}[EventKind(event.kind)]
    fault = f"{event.detail['kind']} of " if "kind" in event.detail else ""
    return f"  {event.t:5.1f} s  {fault}{event.subject} {effect}{describe_forced(event.detail)}"


def progress(stream: TextIO | None = None, quiet: bool = False) -> Progress:
    """The view that fits ``stream`` (stderr): live in a terminal, lines elsewhere, nothing if ``quiet``."""
    stream = stream or sys.stderr
    if quiet:
        return Silent()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(SafeConsole(file=stream))
    return PlainProgress(stream)
