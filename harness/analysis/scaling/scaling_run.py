"""The result of ``harness scale``, as it is kept in scaling.json: sizes, trials and fits of every design."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness.analysis.scaling.capacity import Capacity, Objectives, Trial
from harness.analysis.scaling.laws import Fit, Point, fit_laws
from harness.common.errors import UsageError
from harness.results.files import explain_write_errors, read_json, write_text
from harness.results.run import Run

SCHEMA = 1
FILE = "scaling.json"
_MAX_RATE = 1e9  # requests per second; a file that claims more was changed


@dataclass(frozen=True)
class KeptSize:
    """A size as scaling.json holds it."""

    replicas: int
    held: float
    failed: float | None
    trials: tuple[Trial, ...]

    def __post_init__(self) -> None:
        rates = [self.held, self.failed or 0.0, *(trial.demand for trial in self.trials)]
        if self.replicas < 1 or not all(0 <= rate <= _MAX_RATE for rate in rates):
            raise ValueError(f"no size has {self.replicas} replicas and these rates: {rates}")

    @property
    def size(self) -> "Size":
        """The size with its capacity."""
        return Size(self.replicas, Capacity(self.held, self.failed, self.trials))


@dataclass(frozen=True)
class KeptScaling:
    """What scaling.json holds."""

    designs: Mapping[str, tuple[KeptSize, ...]]
    objectives: Objectives
    schema: int = SCHEMA


@dataclass(frozen=True)
class Size:
    """One size and its capacity."""

    replicas: int
    capacity: Capacity

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
        file, hint = run.path / FILE, "run harness scale again"
        kept = read_json(file, KeptScaling, f"{run.path} has no readable {FILE}", hint)
        if kept.schema != SCHEMA or not kept.designs.keys() <= run.plan.designs.keys():
            raise UsageError(f"{file} has schema {kept.schema}, not {SCHEMA}, or designs of another run", hint)
        designs = tuple(
            ScaledDesign(name, run.plan.designs[name], tuple(kept_size.size for kept_size in sizes))
            for name, sizes in kept.designs.items()
        )
        return cls(run.plan.run, run.plan.scenario, kept.objectives, designs)

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
