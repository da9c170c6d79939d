"""A Claim: what is asserted, what is run for it, and a pure function from those runs to a Finding."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from harness.analysis.scaling.scaling_run import ScalingRun
from harness.common.errors import HarnessError
from harness.common.intervals import exact_interval
from harness.results.summary import ArmFigures, DesignSummary, Summary

CONFIDENCE = 0.95


class ClaimVerdict(StrEnum):
    """What an experiment says of a claim; each is an honest end."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


class UnsettledError(Exception):
    """A claim that its runs cannot settle: the message says why, and what would."""


@dataclass(frozen=True)
class ClaimPoint:
    """One mark of a claim's picture: a value, in the finding's unit, with the interval it is known to lie in."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    predicted: float | None = None

    @classmethod
    def share(cls, label: str, part: int, whole: int, predicted: float | None = None) -> "ClaimPoint":
        """A share in per cent with its exact 95 % interval (Clopper and Pearson 1934).

        Raises:
            UnsettledError: it is a share of nothing.
        """
        if whole < 1:
            raise UnsettledError(f"{label}: there was nothing to count; a longer run would have it")
        low, high = exact_interval(part, whole, CONFIDENCE)
        return cls(label, 100 * part / whole, (100 * low, 100 * high), predicted)


@dataclass(frozen=True)
class ClaimFinding:
    """What the runs say: the leading ``figure`` is the first point, and the sentence tells all of them."""

    support: ClaimVerdict
    says: str
    unit: str = ""
    points: tuple[ClaimPoint, ...] = ()

    @classmethod
    def of(cls, holds: bool, says: str, unit: str, points: Sequence[ClaimPoint]) -> "ClaimFinding":
        """Supported where it ``holds``, else refuted."""
        if not all(math.isfinite(point.value) for point in points):
            return cls.unknown("a figure of it was not measured")
        return cls(ClaimVerdict.SUPPORTED if holds else ClaimVerdict.REFUTED, says, unit, tuple(points))

    @classmethod
    def unknown(cls, why: str) -> "ClaimFinding":
        """Nothing can be said, and why."""
        return cls(ClaimVerdict.UNKNOWN, why)


@dataclass(frozen=True)
class RequiredRun:
    """A run that claims rest on: ``command`` is what follows ``harness`` (a scenario's short form by default)."""

    name: str
    command: tuple[str, ...] = ()
    budget: float = 150.0  # seconds after which it is ended, and what rests on it is unknown

    @property
    def words(self) -> tuple[str, ...]:
        """The command without where its results go."""
        return self.command or ("run", f"scenarios/{self.name}.py", "--quick")


@dataclass(frozen=True)
class Runs:
    """The runs there are, by scenario: what each found, or why there is none."""

    summaries: Mapping[str, Summary] = field(default_factory=dict)
    scaled: Mapping[str, ScalingRun] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def summary(self, scenario: str) -> Summary:
        """A scenario's run.

        Raises:
            UnsettledError: it did not come to an end.
        """
        if scenario not in self.summaries:
            raise UnsettledError(f"{scenario} was not measured: {self.missing.get(scenario, 'it was not run')}")
        return self.summaries[scenario]

    def scaling(self, scenario: str) -> ScalingRun:
        """A scenario's capacity at each size.

        Raises:
            UnsettledError: it was not measured.
        """
        if scenario not in self.scaled:
            raise UnsettledError(f"{scenario} was not measured: {self.missing.get(scenario, 'it was not run')}")
        return self.scaled[scenario]

    def design(self, scenario: str, design: str) -> DesignSummary:
        """One of its designs.

        Raises:
            UnsettledError: it has no such design, or that cannot be trusted.
        """
        found = self.summary(scenario).designs.get(design)
        if found is None:
            raise UnsettledError(f"{scenario} has no design {design}; run it whole")
        return found

    def arm(self, scenario: str, design: str, arm: str = "fault") -> ArmFigures:
        """One of its arms.

        Raises:
            UnsettledError: it is not there, or its judge could not be trusted.
        """
        run = self.summary(scenario)
        calibration = run.controls.calibration
        if calibration is not None and not calibration.diagonal:
            raise UnsettledError(f"{scenario}'s judge missed a seeded bug, so nothing of it counts; run it again")
        found = self.design(scenario, design).arms.get(arm)
        if found is None:
            raise UnsettledError(f"{scenario} has no {arm} arm of {design}; run it again")
        return found


@dataclass(frozen=True)
class Claim:
    """One claim of the seed document as an experiment whose prediction could come out false."""

    id: str
    says: str
    section: str
    ran: str
    supports: str
    needs: tuple[RequiredRun, ...]
    judge: Callable[[Runs], ClaimFinding]

    def found(self, runs: Runs) -> ClaimFinding:
        """What the runs say of it; what breaks on the way makes it unknown."""
        try:
            return self.judge(runs)
        except UnsettledError as problem:
            return ClaimFinding.unknown(str(problem))
        except (HarnessError, ArithmeticError, LookupError, TypeError, ValueError) as problem:
            return ClaimFinding.unknown(f"its figures do not fit together: {problem!r}")


def require_measured(figure: float | None, what: str) -> float:
    """A figure that has to be there.

    Raises:
        UnsettledError: it was not measured.
    """
    if figure is None:
        raise UnsettledError(f"{what} was not measured; a run on a quieter machine, or a longer one, would tell")
    return figure


def require_unsaturated(arm: ArmFigures, what: str) -> ArmFigures:
    """An arm whose times count: its driver kept up.

    Raises:
        UnsettledError: it did not.
    """
    if arm.driver.saturated is not False:
        raise UnsettledError(f"{what}: the load process could not keep up, so its times do not count; run it alone")
    return arm
