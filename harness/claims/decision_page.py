"""docs/decide.md: which place for the state to choose for a need, and decide-figures.md: what was measured.

Both are from repeated runs of scenarios/places.py.

The advice follows from the figures, within what a place is designed for: the cheapest place that meets the need, and
all that are as cheap as far as the repeats show.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.analysis.compare.ratios import Shift
from harness.claims.claim import CONFIDENCE, RequiredRun, Runs, UnsettledError
from harness.claims.devices import DEVICES, describe_safety
from harness.claims.places import PLACES, Keeping, Place
from harness.common.intervals import exact_interval
from harness.results.files import write_text
from harness.results.summary import ArmFigures, DesignSummary, Summary

PLACES_RUN = RequiredRun("places", ("run", "scenarios/places.py", "--repeat", "2"), timeout_s=4800)
#: The runs that docs/decide.md and docs/decide-figures.md are written from.
RUNS = (PLACES_RUN, DEVICES)
#: What happens to each place, by the suffix of its design in scenarios/places.py.
MISHAPS = {
    "killed": "a replica is killed",
    "deployed": "all replicas are redeployed",
    "shrunk": "a replica is taken out",
    "storeless": "the store, or its primary, is killed",
}

_HEAD = """# Where should session state live?

`make decide` writes this page from a run of `scenarios/places.py`, in which every place goes through the same four
mishaps, under the same load and on the same machine. [What was measured](decide-figures.md) has all figures.
"""
_FIGURES_HEAD = """# Places for the state, measured

`make decide` writes this page from a run of `scenarios/places.py`, in which every place goes through the same four
mishaps, under the same load and on the same machine. [Where should session state live?](decide.md) has the advice.
"""
_EXPLAINED = """The cells of a mishap give the number of judged sessions that were lost: all their acknowledged writes
were gone. In brackets is the most that chance leaves possible, the upper end of the exact 95 % interval. If no session
was lost, they also give the number of acknowledged writes that were missing. CPU is the mean of all repeats without a
fault, with its 95 % interval. With ?, a time cannot be trusted, because the machine was busy. The replica of Redis is
made to lag when its primary is killed, because Redis acknowledges a write before its replica has it.
"""
_GUIDED = """The first choice lost nothing that the need forbids, is designed not to lose it, and costs the least CPU of
all such places. Places whose CPU is not certainly higher are a tie: choose among them by their trade-offs.
"""
_NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class DecisionRow:
    """One place: its designs by mishap, and whether two writers at once are safe, if that was measured."""

    place: str
    designs: Mapping[str, DesignSummary]
    safety: str = _NOT_MEASURED

    @property
    def control(self) -> ArmFigures:
        """One of its arms without a fault."""
        return next(iter(self.designs.values())).arms["control"]

    @property
    def policy(self) -> str:
        """The policy of its balancer."""
        return str(next(iter(self.designs.values())).describe["policy"]).replace("_", "-")

    @property
    def theory(self) -> Place:
        """What it is designed for."""
        return PLACES[self.place]

    def repeats(self, mishap: str, arm: str = "fault") -> tuple[ArmFigures, ...]:
        """Every repeat of one arm of a mishap; none if it was not tried or does not apply."""
        figures = self.designs[mishap].arms.get(arm) if mishap in self.designs else None
        return (figures.repeats or (figures,)) if figures else ()

    def lost(self, mishap: str) -> int | None:
        """Sessions and acknowledged writes that a mishap lost in all repeats; None if it was not tried or judged."""
        arms = self.repeats(mishap)
        if not sum(arm.sessions.judged for arm in arms):
            return None
        return sum(arm.sessions.lost + arm.writes.lost for arm in arms)

    @cached_property
    def costs(self) -> tuple[float, ...]:
        """Milliseconds of CPU per request, of all its parts, in each repeat without a fault."""
        arms = (arm for mishap in self.designs for arm in self.repeats(mishap, "control"))
        return tuple(cost for arm in arms if (cost := arm.resources.cpu_ms_per_request))

    @property
    def cpu_ms(self) -> float:
        """The geometric mean of its costs; infinite if none was measured."""
        return math.exp(math.fsum(map(math.log, self.costs)) / len(self.costs)) if self.costs else math.inf

    @property
    def cpu_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of ``cpu_ms``; None if it was measured once."""
        if len(self.costs) < 2:
            return None
        logs = tuple(map(math.log, self.costs))
        low, high = Shift((logs,), ((0.0, 0.0),)).interval
        return math.exp(low), math.exp(high)

    def costs_more_than(self, other: "DecisionRow") -> bool:
        """Whether its CPU certainly exceeds that of another: the 95 % interval of the ratio lies above 1."""
        if min(len(self.costs), len(other.costs)) < 2:
            return False
        ours, theirs = (tuple(map(math.log, row.costs)) for row in (self, other))
        return Shift((ours,), (theirs,)).interval[0] > 0


def rows(run: Summary, safety: Mapping[str, str]) -> tuple[DecisionRow, ...]:
    """The places of a run, whose designs are called ``<place>_<mishap>``."""
    places: dict[str, dict[str, DesignSummary]] = {}
    for name, design in run.designs.items():
        place, _, mishap = name.rpartition("_")
        if mishap in MISHAPS and place in PLACES:
            places.setdefault(place, {})[mishap] = design
    return tuple(DecisionRow(place, designs, safety.get(place, _NOT_MEASURED)) for place, designs in places.items())


def write(runs: Runs, docs: Path) -> Path:
    """Write decide.md and decide-figures.md into ``docs``; returns the path of the first."""
    docs.mkdir(parents=True, exist_ok=True)
    safety = describe_safety(runs)
    write_text(docs / "decide-figures.md", figures_page(runs, safety))
    write_text(docs / "decide.md", page(runs, safety))
    return docs / "decide.md"


def page(runs: Runs, safety: Mapping[str, str]) -> str:
    """The page of the advice; without the run, only the reason why it is missing."""
    try:
        run = runs.summary(PLACES_RUN.name)
    except UnsettledError as problem:
        return f"{_HEAD}\nNothing was measured: {problem}.\n"
    table = rows(run, safety)
    guide = ["## If you need ...", "", _GUIDED, *_guide_lines(table)]
    trade_offs = [
        "## Trade-offs",
        "",
        *(f"- **{row.place}** ({row.theory.keeping}): {row.theory.trade_off}." for row in table),
    ]
    return "\n".join([_HEAD, *guide, "", *trade_offs, "", _name_source(run), ""])


def figures_page(runs: Runs, safety: Mapping[str, str]) -> str:
    """The page of what was measured; without the run, only the reason why it is missing."""
    try:
        run = runs.summary(PLACES_RUN.name)
    except UnsettledError as problem:
        return f"{_FIGURES_HEAD}\nNothing was measured: {problem}.\n"
    return "\n".join([_FIGURES_HEAD, _EXPLAINED, *_table_lines(rows(run, safety)), "", _name_source(run), ""])


def _name_source(run: Summary) -> str:
    return f"From the run `{run.scenario}/{run.run}`."


Cell = Callable[[DecisionRow], str]


def _columns() -> Mapping[str, Cell]:
    costs: dict[str, Cell] = {
        "place": lambda row: f"**{row.place}**",
        "balanced by": lambda row: row.policy,
        "requests/s of one core": lambda row: _number(1000 / row.cpu_ms if row.cpu_ms else None),
        "p50 / p99, ms": lambda row: f"{_time(row.control, 'p50')} / {_time(row.control, 'p99')}",
    }
    losses: dict[str, Cell] = {
        title: lambda row, mishap=mishap: _loss(row, mishap)  # type: ignore[misc]  # the default binds it
        for mishap, title in MISHAPS.items()
    }
    rest: dict[str, Cell] = {
        "two writers at once": lambda row: row.safety,
        "bytes per request": lambda row: _number(row.control.bytes.request_mean),
        "memory, MB": lambda row: _number(row.control.resources.memory_mb),
        "CPU ms per request": _cpu,
        "processes": lambda row: _number(row.control.resources.processes),
    }
    return {**costs, **losses, **rest}


def _table_lines(table: Sequence[DecisionRow]) -> Iterator[str]:
    columns = _columns()
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in table:
        yield "| " + " | ".join(cell(row) for cell in columns.values()) + " |"


def _time(arm: ArmFigures, percentile: str) -> str:
    return _number(getattr(arm.latency_ms, percentile)) + ("" if arm.trusts(percentile) else "?")


def _cpu(row: DecisionRow) -> str:
    """The CPU per request with its interval."""
    if row.cpu_interval is None:
        return f"{_number(row.cpu_ms)} (measured once)"
    return f"{_number(row.cpu_ms)} ({' to '.join(map(_number, row.cpu_interval))})"


def _loss(row: DecisionRow, mishap: str) -> str:
    if mishap not in row.designs:
        return "has none"
    arms = row.repeats(mishap)
    lost, judged = sum(arm.sessions.lost for arm in arms), sum(arm.sessions.judged for arm in arms)
    if not judged:
        return "unknown"
    most = 100 * exact_interval(min(lost, judged), judged, CONFIDENCE)[1]
    missing = sum(arm.writes.lost for arm in arms)
    writes = f", {missing:,} writes" if missing and not lost else ""
    return f"{lost} of {judged} (at most {most:.3g} %){writes}"


def _number(value: float | None) -> str:
    if value is None or value == float("inf"):
        return "unknown"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Requirement:
    """What a reader may need. ``allows`` is by a place's design, ``is_met`` by what was measured of it."""

    need: str
    allows: Callable[[Place], bool]
    is_met: Callable[[DecisionRow], bool]


def _survived(*mishaps: str) -> Callable[[DecisionRow], bool]:
    """Whether each of these that a place can suffer was tried, and lost nothing."""
    return lambda row: (
        "killed" in row.designs and all(row.lost(mishap) == 0 for mishap in mishaps if mishap in row.designs)
    )


_OPERATED = ("killed", "deployed", "shrunk")
REQUIREMENTS = (
    Requirement("no session lost when a replica dies", lambda place: not place.volatile, _survived("killed")),
    Requirement("none lost by deploys, scaling in and dead replicas",
                lambda place: not place.volatile, _survived(*_OPERATED)),
    Requirement("none lost even when the store's own server dies", lambda place: place.durable, _survived(*MISHAPS)),
    Requirement("state that the server can change or revoke, none lost by deploys and dead replicas",
                lambda place: place.revocable and not place.volatile, _survived(*_OPERATED)),
    Requirement("two devices writing one session at once, no update lost",
                lambda place: place.durable, lambda row: row.safety.startswith("safe")),
    Requirement("a shared cache: any replica serves, and all may be lost with the store",
                lambda place: place.keeping is not Keeping.PROCESS, _survived(*_OPERATED)),
    Requirement("the least CPU, whatever is lost", lambda place: True, lambda row: True),
)  # fmt: skip


def _guide_lines(table: Sequence[DecisionRow]) -> Iterator[str]:
    yield "| need | first choice | what it costs |"
    yield "| --- | --- | --- |"
    for requirement in REQUIREMENTS:
        fitting = sorted((row for row in table if row.costs and requirement.is_met(row)), key=lambda row: row.cpu_ms)
        first, costs = _advise(requirement, fitting)
        yield f"| **{requirement.need}** | {first} | {costs} |"


def _advise(requirement: Requirement, fitting: Sequence[DecisionRow]) -> tuple[str, str]:
    """The first choice, or the tied ones, and what each costs. ``fitting`` met the need, the cheapest first."""
    allowed = [row for row in fitting if requirement.allows(row.theory)]
    if not allowed:
        return "no measured place offers it", ""
    tied = [row for row in allowed if not row.costs_more_than(allowed[0])]
    excluded = [row for row in fitting if row not in allowed and row.cpu_ms < allowed[0].cpu_ms]
    names = " or ".join(f"**{row.place}**" for row in tied)
    costs = [
        f"{row.place}: {_cpu(row)} ms of CPU and {_number(row.control.bytes.request_mean)} bytes per request, "
        f"{_number(row.control.resources.processes)} processes"
        for row in tied
    ]
    costs += [f"cheaper, but excluded because it keeps state {row.theory.keeping}: {row.place}" for row in excluded]
    return names + (" (a tie)" if len(tied) > 1 else ""), "; ".join(costs)
