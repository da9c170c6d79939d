"""A Claim: an assertion, the runs that test it, and a pure function from those runs to a ClaimFinding."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.common.errors import HarnessError
from harness.common.intervals import exact_interval
from harness.results.summary import ArmFigures, DesignSummary, Summary

if TYPE_CHECKING:
    from harness.analysis.scaling.scaling_run import ScalingRun

CONFIDENCE = 0.95


class ClaimVerdict(StrEnum):
    """The result of a claim's experiment; each of them is a valid result."""

    SUPPORTED = "supported"
    LIMITED = "supported with limits"  # by its own experiment, but its counter-experiment bites
    REFUTED = "refuted"
    UNKNOWN = "unknown"


class UnsettledError(Exception):
    """The runs cannot settle a claim; the message says why, and what would settle it."""


@dataclass(frozen=True)
class ClaimPoint:
    """One mark of a claim's picture: a value in the finding's unit, with its confidence interval."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    predicted: float | None = None

    @classmethod
    def share(cls, label: str, part: int, whole: int, predicted: float | None = None) -> "ClaimPoint":
        """A share in per cent with its exact 95 % interval (Clopper and Pearson 1934).

        Raises:
            UnsettledError: ``whole`` is 0.
        """
        if whole < 1:
            raise UnsettledError(f"{label}: there was nothing to count; make a longer run")
        low, high = exact_interval(part, whole, CONFIDENCE)
        return cls(label, 100 * part / whole, (100 * low, 100 * high), predicted)


@dataclass(frozen=True)
class CounterFinding:
    """The outcome of a counter-experiment. ``bites``: it shows where the claim stops holding; None if unknown."""

    bites: bool | None
    says: str


@dataclass(frozen=True)
class ClaimFinding:
    """What the runs show: a verdict, a sentence with the figures, and points of which the first is the main figure."""

    verdict: ClaimVerdict
    says: str
    unit: str = ""
    points: tuple[ClaimPoint, ...] = ()
    counter: CounterFinding = CounterFinding(None, "not run")

    def limit(self, counter: CounterFinding) -> "ClaimFinding":
        """The finding with its counter-experiment, which limits what is supported if it bites."""
        limited = self.verdict is ClaimVerdict.SUPPORTED and counter.bites
        return replace(self, counter=counter, verdict=ClaimVerdict.LIMITED if limited else self.verdict)

    @classmethod
    def supported_if(cls, holds: bool, says: str, unit: str, points: Sequence[ClaimPoint]) -> "ClaimFinding":
        """Supported if the prediction ``holds``, otherwise refuted; unknown if a point is not a finite number."""
        if not all(math.isfinite(point.value) for point in points):
            return cls.unknown("one of its figures was not measured")
        return cls(ClaimVerdict.SUPPORTED if holds else ClaimVerdict.REFUTED, says, unit, tuple(points))

    @classmethod
    def unknown(cls, why: str) -> "ClaimFinding":
        """A finding without figures, for the reason given."""
        return cls(ClaimVerdict.UNKNOWN, why)


@dataclass(frozen=True)
class RequiredRun:
    """A run that claims need: ``command`` is what follows ``harness`` (a scenario's short form by default)."""

    name: str
    command: tuple[str, ...] = ()
    timeout_s: float = 150.0  # then the run is ended, and the claims that need it are unknown

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line of the run, without the directory of its results."""
        return self.command or ("run", f"scenarios/{self.name}.py", "--quick")


@dataclass(frozen=True)
class Runs:
    """The runs by scenario: their summaries or capacities, and why a run is ``missing``."""

    summaries: Mapping[str, Summary] = field(default_factory=dict)
    scaled: Mapping[str, "ScalingRun"] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def summary(self, scenario: str) -> Summary:
        """The summary of a scenario's run.

        Raises:
            UnsettledError: the scenario was not measured.
        """
        if scenario not in self.summaries:
            raise self._not_measured(scenario)
        return self.summaries[scenario]

    def scaling(self, scenario: str) -> "ScalingRun":
        """A scenario's capacity at each size.

        Raises:
            UnsettledError: the scenario was not measured.
        """
        if scenario not in self.scaled:
            raise self._not_measured(scenario)
        return self.scaled[scenario]

    def _not_measured(self, scenario: str) -> UnsettledError:
        return UnsettledError(f"{scenario} was not measured: {self.missing.get(scenario, 'it was not run')}")

    def design(self, scenario: str, name: str) -> DesignSummary:
        """One design of a scenario's run.

        Raises:
            UnsettledError: the scenario was not measured, or has no such design.
        """
        design = self.summary(scenario).designs.get(name)
        if design is None:
            raise UnsettledError(f"{scenario} has no design {name}; run all of its designs")
        return design

    def arm(self, scenario: str, design: str, name: str = "fault") -> ArmFigures:
        """One arm of a design.

        Raises:
            UnsettledError: there is no such arm, or the oracle of the run missed a seeded bug.
        """
        calibration = self.summary(scenario).controls.calibration
        if calibration is not None and not calibration.diagonal:
            raise UnsettledError(f"the oracle of {scenario} missed a seeded bug, so the run does not count; repeat it")
        arm = self.design(scenario, design).arms.get(name)
        if arm is None:
            raise UnsettledError(f"{scenario} has no {name} arm of {design}; run it again")
        return arm


@dataclass(frozen=True)
class CounterExperiment:
    """What argues against a claim most strongly: a question, the runs that answer it, and what they answer."""

    question: str
    required_runs: tuple[RequiredRun, ...]
    judge: Callable[[Runs], CounterFinding]

    def evaluate(self, runs: Runs) -> CounterFinding:
        """Its outcome; unknown if figures are missing or inconsistent."""
        try:
            return self.judge(runs)
        except UnsettledError as problem:
            return CounterFinding(None, str(problem))
        except _INCONSISTENT as problem:
            return CounterFinding(None, f"its figures are inconsistent: {problem!r}")


#: What a function of runs raises whose figures do not fit together.
_INCONSISTENT = (HarnessError, ArithmeticError, LookupError, TypeError, ValueError, StopIteration)


@dataclass(frozen=True)
class Claim:
    """One claim as an experiment whose prediction could fail.

    ``section`` is where the requirements make the claim, ``experiment`` and ``prediction`` describe
    the test in words, and ``judge`` reads the runs. ``counter`` is what argues against it.
    """

    id: str
    says: str
    section: str
    experiment: str
    prediction: str
    required_runs: tuple[RequiredRun, ...]
    judge: Callable[[Runs], ClaimFinding]
    counter: CounterExperiment | None = None

    @property
    def all_runs(self) -> tuple[RequiredRun, ...]:
        """The runs of the experiment and of the counter-experiment."""
        return (*self.required_runs, *(self.counter.required_runs if self.counter else ()))

    def evaluate(self, runs: Runs) -> ClaimFinding:
        """Judge the claim by these runs; figures that are missing or inconsistent make it unknown."""
        try:
            finding = self.judge(runs)
        except UnsettledError as problem:
            finding = ClaimFinding.unknown(str(problem))
        except _INCONSISTENT as problem:
            finding = ClaimFinding.unknown(f"its figures are inconsistent: {problem!r}")
        return finding.limit(self.counter.evaluate(runs)) if self.counter else finding


def require_measured(figure: float | None, what: str) -> float:
    """Return a figure that a claim needs.

    Raises:
        UnsettledError: it was not measured.
    """
    if figure is None:
        raise UnsettledError(f"{what} was not measured; make a longer run, or use a quieter machine")
    return figure


def require_unsaturated(arm: ArmFigures, what: str) -> ArmFigures:
    """Return an arm whose times count because its load process kept up.

    Raises:
        UnsettledError: it did not.
    """
    if not arm.times_trusted:
        raise UnsettledError(f"{what}: the load process could not keep up, so its times do not count; run it alone")
    return arm
