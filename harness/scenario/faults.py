"""Faults as a scenario names them: what breaks, when, and in which designs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from harness.common.durations import parse_seconds
from harness.scenario.checks import require
from harness.scenario.design import Design


class Fault(Protocol):
    """One thing that breaks, as data: ``faults/`` turns it into deeds."""

    @property
    def kind(self) -> str:
        """Its name in files and reports."""

    @property
    def target(self) -> str:
        """The part it concerns, such as ``r1``."""

    def check(self, replicas: int) -> None:
        """Raise UsageError where it cannot apply to a topology of this size."""


@dataclass(frozen=True)
class At:
    """A fault at a time, counted from T0; in the designs named by ``only``, or in all of them."""

    when: str
    fault: Fault
    only: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """When, in seconds from T0."""
        return parse_seconds(self.when)

    def applies_to(self, design: Design) -> bool:
        """Whether the fault is meant for this design, and the design has what the fault breaks."""
        applies: Callable[[Design], bool] | None = getattr(self.fault, "applies", None)
        return (not self.only or design.name in self.only) and (applies is None or applies(design))

    def narrowed(self, names: Sequence[str]) -> "At | None":
        """The same fault for those of its designs that are among ``names``; None where none of them is."""
        if not self.only:
            return self
        only = tuple(name for name in self.only if name in names)
        return replace(self, only=only) if only else None


def check_order(faults: Sequence[At]) -> None:
    """What ends a fault comes after it, and nothing is broken twice at once."""
    broken: set[tuple[str, str]] = set()
    for at in faults:
        if getattr(at.fault, "passes", False):
            continue  # over when it is done
        ends = getattr(at.fault, "ends", None)
        about = (ends or at.fault.kind, at.fault.target)
        if ends is None:
            require(about not in broken, f"{about[1]} is broken twice: a second {about[0]} at {at.when}")
            broken.add(about)
        else:
            require(about in broken, f"{at.fault.kind} of {about[1]} at {at.when} has no {ends} before it to end")
            broken.remove(about)
