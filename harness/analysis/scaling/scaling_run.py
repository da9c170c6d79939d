"""The result of ``harness scale``, as it is kept in scaling.json: sizes, trials and fits of every design."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness.analysis.scaling.capacity import Capacity, Objectives, Trial
from harness.analysis.scaling.laws import Fit, Point, fit_laws
from harness.common.errors import UsageError
from harness.results.files import explain_write_errors, write_text
from harness.results.run import Run

SCHEMA = 1
FILE = "scaling.json"


@dataclass(frozen=True)
class Size:
    """One size and its capacity."""

    replicas: int
    capacity: Capacity

    @classmethod
    def from_json(cls, size: Mapping[str, Any]) -> "Size":
        """A size as ``keep_sizes`` writes it."""
        trials = tuple(Trial(**trial) for trial in size["trials"])
        return cls(size["replicas"], Capacity(size["held"], size["failed"], trials))

    @property
    def point(self) -> Point:
        """The point that laws are fitted to."""
        capacity = self.capacity
        return Point(self.replicas, capacity.held, capacity.bound_by, capacity.usable)

    def __str__(self) -> str:
        capacity = self.capacity
        more = "" if capacity.failed is None else f", {capacity.failed:,.0f}/s failed"
        return f"held {capacity.held:,.0f}/s{more}; bound by {capacity.bound_by}; {len(capacity.trials)} trials"


@dataclass(frozen=True)
class ScaledDesign:
    """One design at every size."""

    name: str
    describe: Mapping[str, Any]
    sizes: tuple[Size, ...]

    @cached_property
    def fit(self) -> Fit:
        """The law that its usable points follow."""
        return fit_laws([size.point for size in self.sizes])


@dataclass(frozen=True)
class ScalingRun:
    """A whole run of ``harness scale``."""

    run: str
    scenario: str
    objectives: Objectives
    designs: tuple[ScaledDesign, ...]

    @classmethod
    def read(cls, run: Run) -> "ScalingRun":
        """The scaling.json of a run.

        Raises:
            UsageError: it has none, or one of another schema.
        """
        try:
            kept = json.loads((run.path / FILE).read_text())
            if kept["schema"] != SCHEMA:
                raise UsageError(
                    f"{run.path / FILE} has schema {kept['schema']}, not {SCHEMA}", "run harness scale again"
                )
            designs = tuple(
                ScaledDesign(name, run.plan.designs[name], tuple(map(Size.from_json, sizes)))
                for name, sizes in kept["designs"].items()
            )
            return cls(run.plan.run, run.plan.scenario, Objectives(**kept["objectives"]), designs)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise UsageError(f"{run.path} has no readable {FILE}", "run harness scale again") from problem

    @property
    def sentence(self) -> str:
        """The finding: how far each design scaled, what bound it, and what law it follows."""
        return " ".join(f"{design.name}: {_describe(design)}" for design in self.designs)

    def exit_code(self, sizes: Sequence[int]) -> int:
        """0 if every size of every design has a capacity of its own, 3 if one is unknown."""
        usable = [size.capacity.usable for design in self.designs for size in design.sizes]
        whole = all({size.replicas for size in design.sizes} >= set(sizes) for design in self.designs)
        return 0 if usable and all(usable) and whole else 3

    def to_json(self) -> dict[str, Any]:
        """Every figure, with the fit."""
        return {
            "schema": SCHEMA,
            "run": self.run,
            "objectives": asdict(self.objectives),
            "designs": {design.name: _design_to_json(design) for design in self.designs},
        }


def keep_sizes(run: Run, design: str, sizes: Sequence[Size], objectives: Objectives) -> None:
    """Write the sizes of a design that are measured so far; those of other designs stay as they are."""
    path = run.path / FILE
    with explain_write_errors(path):
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"schema": SCHEMA, "designs": {}}
        known["objectives"] = asdict(objectives)
        known["designs"][design] = [{"replicas": size.replicas, **asdict(size.capacity)} for size in sizes]
        write_text(path, json.dumps(known, indent=1))


def _describe(design: ScaledDesign) -> str:
    if not design.sizes:
        return "nothing was measured."
    last = design.sizes[-1]
    efficiency = design.fit.efficiency(last.point)
    share = "" if efficiency is None else f" ({100 * efficiency:.0f} % of linear)"
    capacity = last.capacity
    at_last = f"{capacity.held:,.0f} requests/s at {last.replicas} replicas{share}, bound by {capacity.bound_by}."
    return f"{at_last} {design.fit.sentence}"


def _design_to_json(design: ScaledDesign) -> dict[str, Any]:
    fit = design.fit
    return {
        "describe": dict(design.describe),
        "points": [
            {
                "replicas": size.replicas,
                "capacity": size.capacity.held,
                "failed": size.capacity.failed,
                "bound_by": size.capacity.bound_by,
                "usable": size.capacity.usable,
                "efficiency": fit.efficiency(size.point),
                "trials": [asdict(trial) for trial in size.capacity.trials],
            }
            for size in design.sizes
        ],
        "laws": [asdict(law) for law in fit.laws],
        "chosen": fit.chosen.name if fit.chosen else None,
        "peak": fit.peak,
        "sentence": fit.sentence,
    }
