"""docs/decide.md: every place for the state by what it costs and what it loses, from one run of scenarios/places.py.

The advice below the table is chosen by the figures: the cheapest place that holds what is asked for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.claims.claim import RequiredRun, Runs, UnsettledError
from harness.results.summary import ArmFigures, DesignSummary, Summary

PLACES = RequiredRun("places", ("run", "scenarios/places.py"), budget=2400)
MISHAPS = {
    "killed": "a replica is killed",
    "deployed": "all replicas are deployed anew",
    "shrunk": "a replica is taken out",
    "storeless": "the store, or its primary, is killed",
}

_HEAD = """# Where should session state live?

Every place for the state through the same four mishaps, under the same load and on the same machine: what each costs,
and what each lost. `make decide` writes this page from a run of `scenarios/places.py`; nothing in it is typed in. The
cells of a mishap say how many of the judged sessions were lost to it: all that was acknowledged to them was gone.
Where none was, they count the acknowledged writes that were missing from sessions that lived. The replica of Redis
is held behind when its primary is killed, since that acknowledges before it has a write.
"""


@dataclass(frozen=True)
class DecisionRow:
    """One place: its designs by mishap, and who writes safely at once, where that was measured."""

    place: str
    designs: Mapping[str, DesignSummary]
    safe: str = "not measured"

    @property
    def control(self) -> ArmFigures:
        """The arm that its costs are from: the first without a fault."""
        return next(iter(self.designs.values())).arms["control"]

    @property
    def policy(self) -> str:
        """Where the load goes."""
        return str(next(iter(self.designs.values())).describe["policy"]).replace("_", "-")

    def lost(self, mishap: str) -> int | None:
        """Sessions and acknowledged writes lost to it; None where it was not tried or cannot befall it."""
        arm = self.designs[mishap].arms.get("fault") if mishap in self.designs else None
        return None if arm is None else arm.sessions.lost + arm.writes.lost

    @property
    def cpu(self) -> float:
        """Milliseconds of CPU a request, of all its parts; infinite where it was not measured."""
        cost = self.control.resources.cpu_ms_per_request
        return float("inf") if cost is None else cost


def rows(run: Summary, safety: Mapping[str, str]) -> tuple[DecisionRow, ...]:
    """The places of a run, whose designs are called ``<place>_<mishap>``."""
    found: dict[str, dict[str, DesignSummary]] = {}
    for name, design in run.designs.items():
        place, _, mishap = name.rpartition("_")
        if mishap in MISHAPS and place:
            found.setdefault(place, {})[mishap] = design
    return tuple(DecisionRow(place, designs, safety.get(place, "not measured")) for place, designs in found.items())


def page(runs: Runs, safety: Mapping[str, str]) -> str:
    """The whole page; where there is no run, it says so and why."""
    try:
        run = runs.summary(PLACES.name)
    except UnsettledError as problem:
        return f"{_HEAD}\nNothing was measured: {problem}.\n"
    table = rows(run, safety)
    return "\n".join([_HEAD, *_table(table), "", *_guide(table), "", f"From the run `{run.scenario}/{run.run}`.", ""])


Cell = Callable[[DecisionRow], str]


def _columns() -> Mapping[str, Cell]:
    costs: dict[str, Cell] = {
        "place": lambda row: f"**{row.place}**",
        "balanced by": lambda row: row.policy,
        "requests/s of one core": lambda row: _number(1000 / row.cpu if row.cpu else None),
        "p50 / p99, ms": lambda row: f"{_number(row.control.latency_ms.p50)} / {_number(row.control.latency_ms.p99)}",
    }
    losses: dict[str, Cell] = {
        words: lambda row, mishap=mishap: _loss(row, mishap)  # type: ignore[misc]  # the default binds it
        for mishap, words in MISHAPS.items()
    }
    rest: dict[str, Cell] = {
        "two writers at once": lambda row: row.safe,
        "bytes a request": lambda row: _number(row.control.bytes.request_mean),
        "memory, MB": lambda row: _number(row.control.resources.memory_mb),
        "CPU s a 1000 requests": lambda row: _number(row.cpu),
        "processes": lambda row: _number(row.control.resources.processes),
    }
    return {**costs, **losses, **rest}


def _table(table: Sequence[DecisionRow]) -> Iterator[str]:
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
    """What somebody needs, and which places give it."""

    need: str
    given: Callable[[DecisionRow], bool]


def _survives(*mishaps: str) -> Callable[[DecisionRow], bool]:
    return lambda row: all(row.lost(mishap) in (0, None) for mishap in mishaps) and "killed" in row.designs


WISHES = (
    Requirement("no session lost when a replica dies", _survives("killed")),
    Requirement("none lost by deploys, scaling in and dead replicas", _survives("killed", "deployed", "shrunk")),
    Requirement("none lost even when the store's own server dies", _survives(*MISHAPS)),
    Requirement("state that the server can change or revoke, none lost by deploys and dead replicas",
         lambda row: row.place not in ("token", "cookie") and _survives("killed", "deployed", "shrunk")(row)),
    Requirement("two devices writing one session at once, no update lost", lambda row: row.safe.startswith("safe")),
    Requirement("the least CPU, whatever is lost", lambda row: True),
)  # fmt: skip


def _guide(table: Sequence[DecisionRow]) -> Iterator[str]:
    yield "## If you need ..., use ..., because ..."
    yield ""
    for wish in WISHES:
        yield f"- If you need **{wish.need}**: {_advice([row for row in table if wish.given(row)])}."


def _advice(fitting: Sequence[DecisionRow]) -> str:
    measured = sorted((row for row in fitting if row.cpu != float("inf")), key=lambda row: row.cpu)
    if not measured:
        return "none of the places that were measured gives it"
    best, others = measured[0], [row.place for row in measured[1:]]
    cost = f"{_number(best.cpu)} ms of CPU and {_number(best.control.bytes.request_mean)} bytes a request"
    also = f"; {', '.join(others)} would do too" if others else ""
    lost = ", ".join(f"{_loss(best, name)} lost when {MISHAPS[name]}" for name in best.designs)
    return f"use **{best.place}**, because it costs the least of those that fit ({cost}) and had {lost}{also}"
