"""What is expected of the requests of a design without a fault, and of a load that is not judged by sessions."""

from dataclasses import dataclass, field
from typing import ClassVar

from harness.results.errors import describe_errors
from harness.results.summary import DesignSummary
from harness.results.verdicts import Result
from harness.scenario.checks import require
from harness.scenario.expectations.expectation import Expect, Judged


@dataclass(frozen=True)
class ControlErrors(Expect):
    """Without a fault, at most this share of the requests fails or is in doubt, and of the users ends in on_start."""

    at_most: float = field(kw_only=True)
    name: ClassVar[str] = "control_errors"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.at_most <= 1, f"errors_at_most is a share between 0 and 1, not {self.at_most:g}")

    def check(self, design: DesignSummary) -> Judged:
        """Count them in the control arm."""
        arm = design.arms.get("control")
        if arm is None:
            return Result.UNKNOWN, "the control arm did not run"
        counts = arm.requests
        if not counts.attempted:
            return Result.UNKNOWN, "no request was measured in the control arm"
        errors = counts.attempted - counts.ok
        why = f"without a fault {errors:,} of {counts.attempted:,} requests failed or are in doubt"
        ended = arm.users.describe() if arm.users and arm.users.ended else ""
        if errors > self.at_most * counts.attempted:
            why = ": ".join(filter(None, [why, ", ".join(describe_errors(arm.names, counts))]))
        elif not (arm.users and arm.users.ended > self.at_most * (arm.users.planned or 0)):
            return Result.PASS, why
        return Result.FAIL, "; ".join(filter(None, [why, ended]))

    def hint(self, name: str, design: DesignSummary) -> str:
        """The limit is the scenario's."""
        return f"the scenario allows {100 * self.at_most:g} %: errors_at_most={self.at_most:g}"


@dataclass(frozen=True)
class JudgesSessions(Expect):
    """The users of the load keep ledgers; one that is expected of users without any is unknown."""

    name: ClassVar[str] = "judges_sessions"

    def check(self, _: DesignSummary) -> Judged:
        """Nothing can be said, and silence is no pass."""
        return (
            Result.UNKNOWN,
            "nothing was judged: the users of a plain locustfile keep no ledger, and nothing else is expected; a "
            'SessionUser keeps one, and --expect "p99 < 200ms" or expect=[errors_below(0.01)] expects something else',
        )
