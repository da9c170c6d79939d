from dataclasses import replace

from harness.report.doubts import doubts
from harness.results.summary import ArmFigures, Controls, Summary
from tests.support import charts as fakes


def believable(**arms: ArmFigures) -> Summary:
    """A run without a doubt about its judge, whose designs have these arms with the fault."""
    run = fakes.summary([fakes.Fake(name) for name in arms], arms=("fault",))
    designs = {name: replace(run.designs[name], arms={"fault": arm}) for name, arm in arms.items()}
    return replace(run, designs=designs, controls=Controls(None, None))


def strained(own_p99_ms: float, *why: str) -> ArmFigures:
    arm = fakes.arm(fakes.TRIO[0], "fault")
    return replace(arm, driver=replace(arm.driver, saturated=True, lag_p99_ms=80.0, own_p99_ms=own_p99_ms, doubts=why))


def test_a_single_doubtful_arm_is_named_with_its_reason() -> None:
    assert doubts(believable(sticky=strained(1.0))) == (
        "The load driver was saturated in sticky (fault, lag p99 80 ms): its times cannot be trusted.",
    )


def test_the_doubt_names_the_saturated_core() -> None:
    busy = strained(1.0, "it used 0.98 of core 1 of worker-2 on there")
    assert "0.98 of core 1 of worker-2 on there" in doubts(believable(sticky=busy))[0]


def test_equal_doubts_are_one_line_with_their_count_and_the_worst_of_them() -> None:
    arms = {f"d{i}": strained(float(i), f"up to {i} ms may be its own delay") for i in range(8)}
    assert doubts(believable(**arms, fine=fakes.arm(fakes.TRIO[0], "fault"))) == (
        "The load driver was saturated in 8 of 9 arms: their times cannot be trusted. "
        "The worst: d7 (fault, up to 7 ms may be its own delay).",
    )


def test_a_doubtful_p99_puts_no_other_time_in_doubt() -> None:
    arm = strained(2.5, "up to 2.5 ms of a p99 of 2 ms may be its own delay")
    delayed = replace(arm, driver=replace(arm.driver, saturated=False, doubtful=("p99",)))
    assert doubts(believable(sticky=delayed)) == (
        "The load driver had short delays in sticky (fault, up to 2.5 ms of a p99 of 2 ms may be its own delay): "
        "its p99 cannot be trusted.",
    )


def test_arms_that_were_short_of_cores_are_another_line() -> None:
    arm = fakes.arm(fakes.TRIO[0], "fault")
    short = replace(arm, resources=replace(arm.resources, starved=True, other_cpu=1.5, waited=0.3))
    first, second = doubts(believable(a=strained(1.0), b=short))
    assert first.startswith("The load driver was saturated in a ")
    assert second == "Cores were short in b (fault, other programs used 1.5 of them): its times cannot be trusted."


def test_a_judge_is_a_doubt_only_if_it_errs() -> None:
    run = fakes.summary()
    assert "1 of 120" in doubts(run)[0]
    calibration = run.controls.calibration
    assert calibration is not None
    right = replace(run, controls=replace(run.controls, calibration=replace(calibration, correct=120)))
    assert doubts(right) == ()
