"""What is expected of the time after a fault."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from harness.results.summary import ArmFigures, DesignSummary, FaultFigures
from harness.results.verdicts import Result
from harness.scenario.checks import require
from harness.scenario.expectations.expectation import UNRECORDED, Expect, Judged, faulted, opposite


@dataclass(frozen=True)
class Recovers(Expect):
    """After every fault correct goodput returns to 95 % of its earlier value.

    ``within`` limits the time from the undo, in seconds; None sets no limit.
    """

    within: float | None = field(default=None, kw_only=True)
    name: ClassVar[str] = "recovers"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.within is None or self.within >= 0, f"within is a time from 0 s on, not {self.within}")

    def check(self, design: DesignSummary) -> Judged:
        """By the latest recovery of all faults."""
        return _check_recovery(faulted(design), self.within)


@dataclass(frozen=True)
class StaysDown(Expect):
    """After its fault is undone, correct goodput does not come back (a metastable failure)."""

    name: ClassVar[str] = "stays_down"

    def check(self, design: DesignSummary) -> Judged:
        """The opposite of ``recovers``."""
        return opposite(_check_recovery(faulted(design), None))


def _check_recovery(arm: ArmFigures, within: float | None) -> Judged:
    if not arm.faults or None in [fault.effective for fault in arm.faults]:
        return Result.UNKNOWN, "no fault took effect"
    if None in [fault.detect_s for fault in arm.faults]:
        return UNRECORDED
    latest = _latest_recovery_s(arm.faults)
    if latest is None:
        return Result.FAIL, "correct goodput did not come back to 95 % of before"
    why = f"correct goodput was back {latest:.2f} s after the fault was undone"
    return (Result.PASS if within is None or latest <= within else Result.FAIL), why


def _latest_recovery_s(faults: Sequence[FaultFigures]) -> float | None:
    """The longest time from an undo until goodput was back (0 if it was back earlier); None if it never was."""
    latest = 0.0
    for fault in faults:
        if fault.recover_s is None or fault.effective is None:
            return None
        latest = max(latest, fault.effective + fault.recover_s - (fault.healed or fault.effective))
    return latest


@dataclass(frozen=True)
class Surges(Expect):
    """After a fault, at least ``least`` times as many sessions begin per second as before: a herd of logins."""

    least: float = field(kw_only=True)
    name: ClassVar[str] = "surges"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.least > 0, f"least must be above 0, not {self.least}")

    def check(self, design: DesignSummary) -> Judged:
        """By the greatest surge after any fault."""
        surges = [fault.surge for fault in faulted(design).faults if fault.surge is not None]
        if not surges:
            return Result.UNKNOWN, "no session began before the fault, or there was none"
        why = f"{max(surges):.1f} times as many sessions began in the worst second after the fault as before it"
        return (Result.PASS if max(surges) >= self.least else Result.FAIL), why


def recovers(*designs: str, within: float | None = None) -> Expect:
    """After every fault correct goodput returns to 95 % of its earlier value.

    ``within`` limits the time from the undo, in seconds; None sets no limit.
    """
    return Recovers(designs, within=within)


def stays_down(*designs: str) -> Expect:
    """After its fault is undone, correct goodput does not come back (a metastable failure)."""
    return StaysDown(designs)


def surges(*designs: str, least: float) -> Expect:
    """After a fault, at least ``least`` times as many sessions begin per second as before: a herd of logins."""
    return Surges(designs, least=least)
