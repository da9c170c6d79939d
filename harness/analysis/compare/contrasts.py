"""Contrasts: the ratios that are compared, each taken inside one repeat of one session, so that the machine cancels."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.compare.side import ComparedRun
from harness.results.summary import ArmFigures, Echo


@dataclass(frozen=True)
class PerformanceMeasure:
    """One figure of an arm. ``gates``: it is steady enough that the comparison depends on it."""

    name: str
    read: Callable[[ArmFigures], float | None]
    floor: Callable[[Echo], float]  # the echo's figure that it is divided by, where the echo is the divisor
    more_is_better: bool = False
    gates: bool = True

    def cost(self, value: float) -> float:
        """Its logarithm, turned so that more is worse."""
        return -math.log(value) if self.more_is_better else math.log(value)


def read_p99(arm: ArmFigures) -> float | None:
    """None also where it may be mostly the load process's own delay."""
    return None if "p99" in arm.driver.doubtful else arm.latency_ms.p99


MEASURES = (
    PerformanceMeasure(
        "throughput", lambda arm: arm.throughput.correct, lambda echo: echo.throughput, more_is_better=True
    ),
    PerformanceMeasure("p50", lambda arm: arm.latency_ms.p50, lambda echo: echo.p50_ms),
    PerformanceMeasure("p99", read_p99, lambda echo: echo.p99_ms, gates=False),
    PerformanceMeasure(
        "cpu", lambda arm: arm.resources.cpu_ms_per_request, lambda echo: 1 / echo.throughput, gates=False
    ),
    PerformanceMeasure(
        "bytes", lambda arm: arm.bytes.total_mean, lambda echo: 1.0
    ),  # bytes do not depend on the machine
)


@dataclass(frozen=True)
class Contrast:
    """One measure of an arm divided by that of ``against``, repeat by repeat, as logarithms; more is worse.

    ``now`` and ``before`` are the run's and the baseline's, by session.
    """

    design: str
    arm: str
    against: str
    measure: PerformanceMeasure
    now: tuple[tuple[float, ...], ...]
    before: tuple[tuple[float, ...], ...]

    @property
    def pairs(self) -> tuple[int, int]:
        """The number of pairs of the run, and of the baseline."""
        return sum(map(len, self.now)), sum(map(len, self.before))

    @property
    def gates(self) -> bool:
        """Whether the comparison depends on it. A ratio to the echo is as unsteady as the machine."""
        return self.measure.gates and (self.against != ECHO or self.measure.name == "bytes")


ECHO = "the echo"
_Costs = Sequence[float | None]


def list_contrasts(run: ComparedRun, baseline: ComparedRun) -> tuple[Contrast, ...]:
    """A design's control by the reference's, a fault arm by its control, the reference's control by the echo."""
    return tuple(
        Contrast(design, arm, against, measure, _divide_sessions(run, design, arm, against, measure),
                 _divide_sessions(baseline, design, arm, against, measure))
        for design, arm, against in _list_divisions(baseline)
        for measure in MEASURES
    )  # fmt: skip


def _list_divisions(side: ComparedRun) -> Iterator[tuple[str, str, str]]:
    for design in side.plan.designs:
        yield design, "control", ECHO if design == side.reference else side.reference
        if side.arm(design, "fault") is not None:
            yield design, "fault", "its control"


def divide_aa_arm(side: ComparedRun) -> Mapping[str, tuple[float, ...]]:
    """By measure, the A/A arm of one session divided by the arm that it repeats: noise alone."""
    ours, theirs = side.aa_arm(), side.arm(side.reference, "control")
    return {measure.name: _divide(_list_costs(ours, measure), _list_costs(theirs, measure)) for measure in MEASURES}


def _divide_sessions(
    side: ComparedRun, design: str, arm: str, against: str, measure: PerformanceMeasure
) -> tuple[tuple[float, ...], ...]:
    """By session; one without any pair is left out."""
    divided = (_divide_repeats(session, design, arm, against, measure) for session in side.sessions)
    return tuple(filter(None, divided))


def _divide_repeats(
    side: ComparedRun, design: str, arm: str, against: str, measure: PerformanceMeasure
) -> tuple[float, ...]:
    ours = _list_costs(side.arm(design, arm), measure)
    if against == ECHO:
        return _divide(
            ours, [_compute_cost(measure, measure.floor(echo)) if echo else None for echo in side.list_echoes()]
        )
    divisor = design if arm == "fault" else against
    return _divide(ours, _list_costs(side.arm(divisor, "control"), measure))


def _list_costs(arm: ArmFigures | None, measure: PerformanceMeasure) -> _Costs:
    """One per repeat; None if it was not measured, or the driver was saturated."""
    if arm is None:
        return ()
    return [
        None if repeat.driver.saturated or repeat.resources.starved else _compute_cost(measure, measure.read(repeat))
        for repeat in arm.repeats or (arm,)
    ]


def _compute_cost(measure: PerformanceMeasure, value: float | None) -> float | None:
    return measure.cost(value) if value else None


def _divide(ours: _Costs, theirs: _Costs) -> tuple[float, ...]:
    """The log ratio of each repeat in which both were measured."""
    pairs = zip(ours, theirs, strict=False)  # an interrupted run has fewer of one
    return tuple(a - b for a, b in pairs if a is not None and b is not None)
