"""The finding of a design: what happened, in one word."""

from collections.abc import Mapping

from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures

#: A finding is the first of these that happened: to sessions, else to writes, else to messages; the gravest first.
_FINDINGS = (
    SessionOutcome.LEAKED,
    SessionOutcome.WRONG,
    SessionOutcome.LOST,
    SessionOutcome.ROLLED_BACK,
    SessionOutcome.STALE,
    SessionOutcome.FORCED_LOGIN,
    SessionOutcome.LOST_WRITES,
    SessionOutcome.UNEXPLAINED,
    SessionOutcome.DUPLICATED,
    SessionOutcome.LOST_MESSAGES,
    SessionOutcome.REPEATED_MESSAGES,
    SessionOutcome.DISORDERED,
)


def summarize_finding(arms: Mapping[str, ArmFigures]) -> SessionOutcome:
    """What happened in the arm with the fault, or in the control if there is no fault.

    Of several repeats the first in which anything happened decides.
    """
    arm = arms.get("fault") or arms["control"]
    outcomes = map(_summarize_arm, arm.repeats or (arm,))
    return next((outcome for outcome in outcomes if outcome is not SessionOutcome.KEPT), SessionOutcome.KEPT)


def _summarize_arm(arm: ArmFigures) -> SessionOutcome:
    """What is proven is found, however many sessions could not be judged; too few judged ones are not kept."""
    counts = arm.outcomes
    if found := next((outcome for outcome in _FINDINGS if counts.get(outcome)), None):
        return found
    return SessionOutcome.KEPT if arm.sessions.are_judged else SessionOutcome.UNKNOWN
