"""docs/decide.md: the costs and losses of every place for the state, from one run of scenarios/places.py.

The advice below the table follows from the figures: the cheapest place that meets a requirement.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.claims.claim import RequiredRun, Runs, UnsettledError
from harness.results.summary import ArmFigures, DesignSummary, Summary

PLACES = RequiredRun("places", ("run", "scenarios/places.py"), timeout_s=2400)
#: What happens to each place, by the suffix of its design in scenarios/places.py.
MISHAPS = {
    "killed": "a replica is killed",
    "deployed": "all replicas are redeployed",
    "shrunk": "a replica is taken out",
    "storeless": "the store, or its primary, is killed",
}

_HEAD = """# Where should session state live?

Every place for the state goes through the same four mishaps, under the same load and on the same machine. The table
shows what each place costs and what it lost. `make decide` writes this page from a run of `scenarios/places.py`;
nothing in it is typed by hand. The cells of a mishap give the number of judged sessions that were lost: all their
acknowledged writes were gone. If no session was lost, they also give the number of acknowledged writes that were
missing. The replica of Redis is made to lag when its primary is killed, because Redis acknowledges a write before its
replica has it.
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
        """The arm that its costs come from: the first without a fault."""
        return next(iter(self.designs.values())).arms["control"]

    @property
    def policy(self) -> str:
        """The policy of its balancer."""
        return str(next(iter(self.designs.values())).describe["policy"]).replace("_", "-")

    def lost(self, mishap: str) -> int | None:
        """Sessions and acknowledged writes that a mishap lost; None if it was not tried or does not apply."""
        arm = self.designs[mishap].arms.get("fault") if mishap in self.designs else None
        return None if arm is None else arm.sessions.lost + arm.writes.lost

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU per request, of all its parts; infinite if not measured."""
        cost = self.control.resources.cpu_ms_per_request
        return float("inf") if cost is None else cost


def rows(run: Summary, safety: Mapping[str, str]) -> tuple[DecisionRow, ...]:
    """The places of a run, whose designs are called ``<place>_<mishap>``."""
    places: dict[str, dict[str, DesignSummary]] = {}
    for name, design in run.designs.items():
        place, _, mishap = name.rpartition("_")
        if mishap in MISHAPS and place:
            places.setdefault(place, {})[mishap] = design
    return tuple(DecisionRow(place, designs, safety.get(place, _NOT_MEASURED)) for place, designs in places.items())


def page(runs: Runs, safety: Mapping[str, str]) -> str:
    """The whole page; without the run, only the reason why it is missing."""
    try:
        run = runs.summary(PLACES.name)
    except UnsettledError as problem:
        return f"{_HEAD}\nNothing was measured: {problem}.\n"
    table = rows(run, safety)
    source = f"From the run `{run.scenario}/{run.run}`."
    return "\n".join([_HEAD, *_table_lines(table), "", *_advice_lines(table), "", source, ""])


Cell = Callable[[DecisionRow], str]


def _columns() -> Mapping[str, Cell]:
    costs: dict[str, Cell] = {
        "place": lambda row: f"**{row.place}**",
        "balanced by": lambda row: row.policy,
        "requests/s of one core": lambda row: _number(1000 / row.cpu_ms if row.cpu_ms else None),
        "p50 / p99, ms": lambda row: f"{_number(row.control.latency_ms.p50)} / {_number(row.control.latency_ms.p99)}",
    }
    losses: dict[str, Cell] = {
        title: lambda row, mishap=mishap: _loss(row, mishap)  # type: ignore[misc]  # the default binds it
        for mishap, title in MISHAPS.items()
    }
    rest: dict[str, Cell] = {
        "two writers at once": lambda row: row.safety,
        "bytes per request": lambda row: _number(row.control.bytes.request_mean),
        "memory, MB": lambda row: _number(row.control.resources.memory_mb),
        "CPU s per 1000 requests": lambda row: _number(row.cpu_ms),
        "processes": lambda row: _number(row.control.resources.processes),
    }
    return {**costs, **losses, **rest}


def _table_lines(table: Sequence[DecisionRow]) -> Iterator[str]:
    columns = _columns()
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in table:
        yield "| " + " | ".join(cell(row) for cell in columns.values()) + " |"


def _loss(row: DecisionRow, mishap: str) -> str:
    if mishap not in row.designs:
        return "has none"
    arm = row.designs[mishap].arms.get("fault")
    if arm is None or not arm.sessions.judged:
        return "unknown"
    writes = f", {arm.writes.lost:,} writes" if arm.writes.lost and not arm.sessions.lost else ""
    return f"{arm.sessions.lost} of {arm.sessions.judged}{writes}"


def _number(value: float | None) -> str:
    if value is None or value == float("inf"):
        return "unknown"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Requirement:
    """What a reader may need, and whether a place meets it."""

    need: str
    is_met: Callable[[DecisionRow], bool]


def _survives(*mishaps: str) -> Callable[[DecisionRow], bool]:
    return lambda row: all(row.lost(mishap) in (0, None) for mishap in mishaps) and "killed" in row.designs


REQUIREMENTS = (
    Requirement("no session lost when a replica dies", _survives("killed")),
    Requirement("none lost by deploys, scaling in and dead replicas", _survives("killed", "deployed", "shrunk")),
    Requirement("none lost even when the store's own server dies", _survives(*MISHAPS)),
    Requirement("state that the server can change or revoke, none lost by deploys and dead replicas",
         lambda row: row.place not in ("token", "cookie") and _survives("killed", "deployed", "shrunk")(row)),
    Requirement("two devices writing one session at once, no update lost", lambda row: row.safety.startswith("safe")),
    Requirement("the least CPU, whatever is lost", lambda row: True),
)  # fmt: skip


def _advice_lines(table: Sequence[DecisionRow]) -> Iterator[str]:
    yield "## If you need ..., use ..., because ..."
    yield ""
    for requirement in REQUIREMENTS:
        yield f"- If you need **{requirement.need}**: {_advice([row for row in table if requirement.is_met(row)])}."


def _advice(fitting: Sequence[DecisionRow]) -> str:
    measured = sorted((row for row in fitting if row.cpu_ms != float("inf")), key=lambda row: row.cpu_ms)
    if not measured:
        return "no measured place offers it"
    best, others = measured[0], [row.place for row in measured[1:]]
    cost = f"{_number(best.cpu_ms)} ms of CPU and {_number(best.control.bytes.request_mean)} bytes per request"
    losses = ", ".join(f"{_loss(best, mishap)} lost when {MISHAPS[mishap]}" for mishap in best.designs)
    alternatives = f"; alternatives: {', '.join(others)}" if others else ""
    return f"use **{best.place}**, because it costs the least of those that fit ({cost}) and had {losses}{alternatives}"
