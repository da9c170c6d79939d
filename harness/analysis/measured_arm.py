"""An arm with its figures, and the repeats of an arm as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.results.arm_files import ArmObservations
from harness.results.summary import ArmFigures


@dataclass(frozen=True)
class MeasuredArm:
    """One repeat of an arm: what was observed, and the figures computed from it."""

    observed: ArmObservations
    figures: ArmFigures


def combine_repeats(arms: Sequence[MeasuredArm], design: str, name: str) -> ArmFigures | None:
    """The figures of an arm's first repeat, with those of all repeats inside if there are several; None without any."""
    repeats = tuple(arm.figures for arm in arms if (arm.observed.design, arm.observed.arm) == (design, name))
    return replace(repeats[0], repeats=repeats if len(repeats) > 1 else ()) if repeats else None
