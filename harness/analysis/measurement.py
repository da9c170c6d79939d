"""Whether the measurement itself can be trusted, arm by arm: what cannot makes the run unknown."""

from collections.abc import Iterator, Sequence

from harness.analysis.measured_arm import MeasuredArm
from harness.observations.events import Event, EventKind
from harness.results.plan import RunPlan
from harness.results.summary import ArmFigures
from harness.results.verdicts import Result, Verdict


def judge_measurement(plan: RunPlan, arms: Sequence[MeasuredArm]) -> Iterator[Verdict]:
    """A verdict ``unknown`` for each thing that makes the figures of an arm doubtful."""
    complete = {(arm.observed.design, arm.observed.arm, arm.observed.repeat) for arm in arms if arm.observed.complete}
    for design, name, repeat in plan.arms:
        if (design, name, repeat) not in complete:
            yield Verdict("complete", Result.UNKNOWN, f"the {name} arm was cut off or did not run", design)
    for arm in arms:
        for check, why in _find_doubts(arm):
            yield Verdict(check, Result.UNKNOWN, f"{arm.observed.arm} arm: {why}", arm.observed.design)


def _find_doubts(arm: MeasuredArm) -> Iterator[tuple[str, str]]:
    """Pairs of a check and the reason why it is unknown."""
    observed = arm.observed
    for event in observed.events:
        yield from _check_event(event)
    for fault in arm.figures.faults:
        if fault.effective is None or fault.healed is None:
            yield "fault_landed", f"no evidence that {fault.kind} of {fault.target} took effect and was undone"
    if observed.aggregates is not None and observed.effects:
        yield "effects_judged", "without records it is unknown whether effects are missing or took place twice"
    yield from _check_times(arm.figures, observed.complete)


def _check_event(event: Event) -> Iterator[tuple[str, str]]:
    detail = event.detail
    if event.kind == EventKind.WORKER_LOST:
        lost = f"{event.subject} on {detail.get('host')} was lost, {detail.get('why')}"
        yield event.kind, f"{lost}; its {detail.get('sessions')} sessions are not judged"
    if event.kind in (EventKind.PART_DIED, EventKind.BROKEN_OFF):
        yield event.kind, str(detail.get("why", ""))


def _check_times(arm: ArmFigures, complete: bool) -> Iterator[tuple[str, str]]:
    driver, resources = arm.driver, arm.resources
    if driver.saturated:
        yield "driver_kept_up", f"the load process was saturated or late ({'; '.join(driver.doubts)}); {_NO_TIMES}"
    if driver.saturated is None and complete:
        yield "driver_kept_up", "the load process was not sampled"
    if resources.starved:
        others = f"other programs used {resources.other_cpu:.2g} cores, the hypervisor took {resources.stolen_cpu:.2g}"
        yield (
            "targets_kept_up",
            f"{resources.waited:.0%} of the time a target waited for a core ({others}); {_NO_TIMES}",
        )


_NO_TIMES = "times cannot be trusted"
