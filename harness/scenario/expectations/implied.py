"""What every scenario expects of its designs without saying so: that silence is never a pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.results.verdicts import Expectation
from harness.scenario.expectations.errors import ControlErrors, JudgesSessions
from harness.scenario.expectations.expectation import Expect
from harness.scenario.expectations.messages import LosesMessages
from harness.scenario.expectations.sessions import (
    CleanControl,
    Finds,
    Keeps,
    LosesAtMost,
    LosesOnlyTheAtRisk,
    LosesTheAtRisk,
    MayLose,
)
from harness.scenario.expectations.thresholds import Threshold

#: These say what becomes of the sessions under the fault, so nothing further is implied of that.
_ABOUT_LOSSES = (Keeps, LosesTheAtRisk, LosesOnlyTheAtRisk, LosesAtMost, MayLose, Finds)


@dataclass(frozen=True)
class Premises:
    """What a design is, as far as it decides what is implied of it."""

    design: str
    at_risk: str | None  # its theory: none, victim, or None if it has none
    has_faults: bool
    has_ledgers: bool  # of its users
    errors_at_most: float


def imply(premises: Premises, stated: Sequence[Expectation]) -> Iterator[Expect]:
    """The expectations of one design that its scenario does not state.

    Without a fault it is clean and answers well. Under the fault it loses no more than its theory says; one without a
    theory keeps everything. A scenario says otherwise by an expectation of that design about the same thing. It
    declares a design broken even without a fault by ``finds`` of a harm, if the design has no theory, or no fault.
    """
    own = [e for e in stated if isinstance(e, Expect) and premises.design in e.designs]
    only = (premises.design,)
    finds_harm = any(isinstance(e, Finds) and e.declares_harm for e in own)
    if not premises.has_ledgers and not own:
        yield JudgesSessions(only, implied=True)
    if finds_harm and (premises.at_risk is None or not premises.has_faults):
        return
    if not any(isinstance(e, Threshold) and e.limits_all_errors for e in own):
        yield ControlErrors(only, implied=True, at_most=premises.errors_at_most)
    if not premises.has_ledgers:
        return
    if not any(isinstance(e, CleanControl) for e in own):
        has_messages = not any(isinstance(e, LosesMessages) for e in own)
        yield CleanControl(only, implied=True, of_messages=has_messages)
    if premises.has_faults and not any(isinstance(e, _ABOUT_LOSSES) for e in own):
        yield (LosesOnlyTheAtRisk if premises.at_risk == "victim" else Keeps)(only, implied=True)
