"""Faults in a scenario: entries of a timeline that are checked before anything starts.

The effect of a fault on a running topology is defined in ``harness.faults``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from harness.common.durations import parse_seconds
from harness.scenario.checks import check_types, require
from harness.scenario.design import Design


class Fault(ABC):
    """One thing that breaks, or the end of it, as data. Each subclass is a frozen dataclass."""

    #: Its name in files and reports.
    kind: ClassVar[str]
    #: Whether it ends at once, as a reload does; nothing later on the timeline ends it.
    passes: ClassVar[bool] = False

    @property
    @abstractmethod
    def target(self) -> str:
        """The part that it affects, such as ``r1``."""

    @property
    def ends(self) -> str | None:
        """The kind of the earlier fault on the same target that it undoes; None if it is a fault itself."""
        return None

    @property
    def links(self) -> str | None:
        """The group of links that a design needs for it (``balancer`` or ``store``), if any."""
        return None

    @property
    def external(self) -> bool:
        """Whether it needs no part started by the harness, so that it can also break a service that already runs."""
        return False

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of the user's own that it will run, all of them."""
        return ()

    def check(self, replicas: int) -> None:  # noqa: B027 - most faults fit a topology of any size
        """Check that it can apply to a topology of this size.

        Raises:
            UsageError: it cannot.
        """

    def applies(self, design: Design) -> bool:
        """Whether the design has the part that this fault breaks; a design without it has no arm with this fault."""
        return True


@dataclass(frozen=True)
class At:
    """A fault at a time from T0, in the designs named by ``only``, or in all of them."""

    when: str
    fault: Fault
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        check_types(self.fault)

    @property
    def seconds(self) -> float:
        """The time of the fault, in seconds from T0."""
        return parse_seconds(self.when)

    def applies(self, design: Design) -> bool:
        """Whether the fault is meant for this design, and the design has the part that it breaks."""
        return (not self.only or design.name in self.only) and self.fault.applies(design)

    def among(self, designs: Collection[str]) -> "At | None":
        """The same fault for those of its designs that are among these; None if it was meant only for others."""
        only = tuple(name for name in self.only if name in designs)
        return None if self.only and not only else replace(self, only=only)


def check_order(faults: Sequence[At]) -> None:
    """Check that every end of a fault comes after it, and that nothing is broken twice at the same time.

    Raises:
        UsageError: otherwise.
    """
    broken: set[tuple[str, str]] = set()
    for at in faults:
        fault = at.fault
        if fault.passes:
            continue
        broken_by = (fault.ends or fault.kind, fault.target)
        if fault.ends is None:
            require(broken_by not in broken, f"{fault.target} is broken twice: a second {fault.kind} at {at.when}")
            broken.add(broken_by)
        else:
            require(
                broken_by in broken,
                f"{fault.kind} of {fault.target} at {at.when} has no {fault.ends} before it to end",
            )
            broken.remove(broken_by)
