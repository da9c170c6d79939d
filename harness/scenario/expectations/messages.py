"""What is expected of messages on WebSockets, and of orders of several steps."""

from dataclasses import dataclass
from typing import ClassVar

from harness.results.summary import ArmFigures, DesignSummary
from harness.results.verdicts import Result
from harness.scenario.expectations.expectation import Expect, Judged, check_every_arm, faulted, opposite, zero


@dataclass(frozen=True)
class Delivers(Expect):
    """Every acknowledged message reached everyone in its room: once, and in its sender's order."""

    name: ClassVar[str] = "delivers"

    def check(self, design: DesignSummary) -> Judged:
        """In every arm."""
        return check_every_arm(design.arms, _check_delivery)


def _check_delivery(arm: ArmFigures) -> Judged:
    messages = arm.messages
    if messages is None or not messages.due:
        return Result.UNKNOWN, "no message was due to anyone"
    counts = {"lost": messages.lost, "repeated": messages.repeated, "disordered": messages.disordered}
    why = "messages " + ", ".join(f"{word} {zero(count, messages.due)}" for word, count in counts.items())
    return (Result.FAIL if any(counts.values()) else Result.PASS), why


@dataclass(frozen=True)
class LosesMessages(Expect):
    """Under the fault some acknowledged messages do not reach everyone in their room (a positive control)."""

    name: ClassVar[str] = "loses_messages"

    def check(self, design: DesignSummary) -> Judged:
        """Look for a lost one."""
        messages = faulted(design).messages
        if messages is None or not messages.due:
            return Result.UNKNOWN, "no message was due to anyone"
        why = f"{messages.lost:,} of {messages.due:,} messages lost, {messages.missed:,} of them while away"
        return (Result.PASS if messages.lost else Result.FAIL), why


@dataclass(frozen=True)
class Settles(Expect):
    """Every saga ends, with or without the fault: shipped or completely undone, each effect once."""

    name: ClassVar[str] = "settles"

    def check(self, design: DesignSummary) -> Judged:
        """In every arm."""
        return check_every_arm(design.arms, _check_sagas)


def _check_sagas(arm: ArmFigures) -> Judged:
    sagas = arm.sagas
    if sagas is None:
        return Result.UNKNOWN, "the effect journal has no saga"
    why = (
        f"half done {zero(sagas.half_done, sagas.begun)} sagas, with an effect that happened twice {sagas.repeated}; "
        f"{sagas.shipped} shipped, {sagas.undone} undone, {sagas.resumed} of them by a later start"
    )
    return (Result.FAIL if sagas.half_done or sagas.repeated else Result.PASS), why


@dataclass(frozen=True)
class LeavesHalfDone(Expect):
    """Under the fault at least one saga is left half done (a positive control)."""

    name: ClassVar[str] = "leaves_half_done"

    def check(self, design: DesignSummary) -> Judged:
        """The opposite of ``settles`` under the fault."""
        return opposite(_check_sagas(faulted(design)))


def delivers(*designs: str) -> Expect:
    """Every acknowledged message reached everyone in its room: once, and in its sender's order."""
    return Delivers(designs)


def loses_messages(*designs: str) -> Expect:
    """Under the fault some acknowledged messages do not reach everyone in their room (a positive control)."""
    return LosesMessages(designs)


def settles(*designs: str) -> Expect:
    """Every saga ends, with or without the fault: shipped or completely undone, each effect once."""
    return Settles(designs)


def leaves_half_done(*designs: str) -> Expect:
    """Under the fault at least one saga is left half done (a positive control)."""
    return LeavesHalfDone(designs)
