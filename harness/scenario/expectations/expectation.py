"""An expectation: one check of one or several designs, as data that a run can keep and judge again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from harness.common.intervals import upper_bound_of_none
from harness.results.summary import ArmFigures, DesignSummary, SessionFigures, Summary
from harness.results.verdicts import Result, Verdict, worst
from harness.scenario.checks import check_types, require

Judged = tuple[Result, str]
UNRECORDED = Result.UNKNOWN, "the requests that would show it were not recorded"


@dataclass(frozen=True)
class Expect(ABC):
    """One check of each of ``designs``; without any, of every design of its scenario.

    ``implied`` are those that a scenario has without saying so; a failure then names the line that says otherwise.
    """

    designs: tuple[str, ...] = ()
    implied: bool = field(default=False, kw_only=True)

    name: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "designs", tuple(self.designs))
        for design in self.designs:
            require(
                isinstance(design, str),
                f"{self.name} expects names of designs, not {design!r}",
                f'{self.name}("sticky", "hybrid")',
            )
        check_types(self)

    @abstractmethod
    def check(self, design: DesignSummary) -> Judged:
        """The result for one design that ran, and the reason."""

    @property
    def title(self) -> str:
        """What its verdicts are called."""
        return self.name

    def judge(self, summary: Summary) -> Sequence[Verdict]:
        """One verdict per design; it is unknown for a design that did not run."""
        return tuple(self._verdict(name, summary.designs.get(name)) for name in self.designs)

    def only(self, names: Sequence[str]) -> Self | None:
        """The same expectation for those of its designs that are among ``names``; None if there are none."""
        designs = tuple(design for design in self.designs if design in names)
        return replace(self, designs=designs) if designs else None

    def among(self, names: Sequence[str]) -> Self:
        """The same expectation in a scenario that has designs of these names.

        Raises:
            UsageError: it is about a design that the scenario does not have.
        """
        for design in self.designs:
            require(
                design in names,
                f"{self.name} is expected of {design!r}, which is no design of this scenario",
                f"it has {', '.join(names)}",
            )
        return self if self.designs else replace(self, designs=tuple(names))

    def hint(self, name: str, design: DesignSummary) -> str:
        """The line by which a scenario expects what an implied expectation failed of."""
        return f'if that must happen, say so: expect=[finds("{name}", among=("{design.finding}",))]'

    def _verdict(self, name: str, design: DesignSummary | None) -> Verdict:
        if design is None or not design.arms:
            return Verdict(self.title, Result.UNKNOWN, "it did not run", name)
        result, why = self.check(design)
        if self.implied and result is Result.FAIL:
            why = f"{why}; {self.hint(name, design)}"
        return Verdict(self.title, result, why, name)


def faulted(design: DesignSummary) -> ArmFigures:
    """The arm with the fault, or the control if there is no fault."""
    return design.arms.get("fault", next(iter(design.arms.values())))


def check_every_arm(arms: Mapping[str, ArmFigures], check: Callable[[ArmFigures], Judged]) -> Judged:
    """The worst result of all arms, with the reasons of all that did not pass."""
    judged = {name: check(arm) for name, arm in arms.items()}
    reported = {name: verdict for name, verdict in judged.items() if verdict[0] is not Result.PASS} or judged
    return worst(result for result, _ in reported.values()), "; ".join(
        f"{name}: {why}" for name, (_, why) in reported.items()
    )


def opposite(judged: Judged) -> Judged:
    """Pass for fail and fail for pass; unknown stays."""
    result, why = judged
    return {Result.PASS: Result.FAIL, Result.FAIL: Result.PASS}.get(result, result), why


def zero(bad: int, of: int) -> str:
    """A count with its sample size; for a zero, also the rate that it rules out (exact binomial bound, 95 %)."""
    if bad or not of:
        return f"{bad:,} of {of:,}"
    return f"0 of {of:,} (95 % upper bound {100 * upper_bound_of_none(of):.2g} %)"


def explain_not_judged(sessions: SessionFigures) -> str:
    """Why too few sessions were judged to say what happened to all; empty if there were enough."""
    if sessions.are_judged:
        return ""
    if not sessions.started:
        return "no session began"
    said = "no session" if not sessions.judged else f"only {sessions.judged:,} of {sessions.started:,} sessions"
    return "; ".join([f"{said} could be judged", *sessions.not_judged_because])
