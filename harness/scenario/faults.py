"""TODO: harness.scenario.faults."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.common.durations import parse_seconds
from harness.scenario.checks import _require
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


def _applies(at: At, design: Design) -> bool:
    """Whether the fault is meant for this design, and it has what the fault breaks; most concern what all have."""
    applies: Callable[[Design], bool] | None = getattr(at.fault, "applies", None)
    return (not at.only or design.name in at.only) and (applies is None or applies(design))


def _left(only: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...] | None:
    """Which of the chosen designs a fault is only for; None where it is for none of them."""
    return tuple(name for name in only if name in names) or (None if only else ())


def _check_order(faults: Sequence[At]) -> None:
    """What ends a fault comes after it, and nothing is broken twice at once."""
    broken: set[tuple[str, str]] = set()
    for at in faults:
        if getattr(at.fault, "passes", False):
            continue  # over when it is done
        ends = getattr(at.fault, "ends", None)
        about = (ends or at.fault.kind, at.fault.target)
        if ends is None:
            _require(about not in broken, f"{about[1]} is broken twice: a second {about[0]} at {at.when}")
            broken.add(about)
        else:
            _require(about in broken, f"{at.fault.kind} of {about[1]} at {at.when} has no {ends} before it to end")
            broken.remove(about)
