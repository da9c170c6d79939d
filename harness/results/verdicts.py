"""Verdicts: pass, fail or unknown, with why. The worst wins: fail outweighs unknown, unknown outweighs pass."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

from harness.results.summary import Summary


class Result(enum.StrEnum):
    """The three values of a verdict."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    UNKNOWN = "unknown"
    FAIL = "fail"

    @property
    def exit_code(self) -> int:
        """The process's exit code, as the README lists them."""
        return {"pass": 0, "fail": 1, "unknown": 3}[self.value]


_GRAVITY = (Result.PASS, Result.UNKNOWN, Result.FAIL)


def worst(results: Iterable[Result]) -> Result:
    """The gravest of them; ``pass`` if there are none."""
    return max(results, key=_GRAVITY.index, default=Result.PASS)


@dataclass(frozen=True)
class Verdict:
    """One thing that was checked. ``design`` is empty where it concerns the whole run."""

    check: str
    result: Result
    why: str
    design: str = ""


@runtime_checkable
class Expectation(Protocol):
    """What a scenario expects of its summary: a pure function, and the designs that it is about."""

    def judge(self, summary: Summary) -> Sequence[Verdict]:
        """One verdict per design that it is about."""

    def only(self, names: Sequence[str]) -> Self | None:
        """The same for these designs alone; None if nothing is left."""


#: Checks that concern times alone: what was counted stays certain.
TIMING_CHECKS = frozenset({"driver_kept_up", "targets_kept_up"})

#: Checks of the measurement itself. Every analysis makes them again, so a recorded verdict of one is not recalled.
MEASUREMENT_CHECKS = frozenset(
    {
        "complete",
        "fault_landed",
        "effects_judged",
        *TIMING_CHECKS,
        "worker_lost",
        "part_died",
        "broken_off",
        "calibration",
        "echo",
    }
)


@dataclass(frozen=True)
class RecordedVerdicts:
    """What is left of an expectation whose scenario no longer imports: its recorded verdicts, one per design."""

    verdicts: tuple[Verdict, ...]

    @classmethod
    def by_check(cls, recorded: Iterable[Verdict]) -> tuple[Self, ...]:
        """One expectation per check that was recorded, without the checks of the measurement."""
        checks: dict[str, list[Verdict]] = {}
        for verdict in recorded:
            if verdict.check not in MEASUREMENT_CHECKS:
                checks.setdefault(verdict.check, []).append(verdict)
        return tuple(cls(tuple(verdicts)) for verdicts in checks.values())

    def judge(self, _: Summary) -> Sequence[Verdict]:
        """The verdicts as they were recorded."""
        return self.verdicts

    def only(self, names: Sequence[str]) -> Self | None:
        """Those on these designs alone; None if nothing is left."""
        left = tuple(verdict for verdict in self.verdicts if verdict.design in names)
        return replace(self, verdicts=left) if left else None
