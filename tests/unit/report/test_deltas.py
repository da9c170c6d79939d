from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.report.deltas import Delta, list_deltas, subtract_shares
from harness.results.summary import ArmFigures, Summary
from tests.support import charts as fakes

ARM = fakes.arm(fakes.TRIO[0], "fault")


def with_arm(arm: ArmFigures) -> Summary:
    run = fakes.summary([fakes.TRIO[0]], arms=("fault",))
    return replace(run, designs={"sticky": replace(run.designs["sticky"], arms={"fault": arm})})


def deltas(left: ArmFigures, right: ArmFigures) -> dict[str, Delta]:
    (arm,) = list_deltas(with_arm(left), with_arm(right))
    return {delta.figure: delta for delta in arm.deltas}


def repeated(p50: Sequence[float], **figures: Any) -> ArmFigures:
    """An arm with a repeat per median."""
    repeats = tuple(replace(ARM, latency_ms=replace(ARM.latency_ms, p50=value)) for value in p50)
    return replace(ARM, repeats=repeats, **figures)


def test_the_difference_of_shares_is_newcombes() -> None:
    """The first example of the paper: 56 of 70 and 48 of 80."""
    low, high = subtract_shares((56, 70), (48, 80))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_certain_loss_more_is_worse_and_a_certain_loss_less_is_better() -> None:
    more = replace(ARM, sessions=replace(ARM.sessions, lost=120))
    assert deltas(ARM, more)["sessions lost"].direction == "worse"
    assert deltas(more, ARM)["sessions lost"].direction == "better"
    assert deltas(ARM, more)["sessions lost"].left == "67 of 200"
    assert deltas(ARM, more)["sessions lost"].change == "+26 points"


def test_a_loss_more_that_may_be_chance_has_no_direction() -> None:
    one_more = replace(ARM, sessions=replace(ARM.sessions, lost=68))
    assert deltas(ARM, one_more)["sessions lost"].direction == ""


def test_times_that_were_measured_once_have_a_change_and_no_interval() -> None:
    slow = replace(ARM, latency_ms=replace(ARM.latency_ms, p50=24.0))
    delta = deltas(ARM, slow)["p50 ms"]
    assert (delta.change, delta.interval, delta.direction) == ("+100.0 %", "measured 1 time", "")


def test_repeats_give_an_interval_and_a_direction() -> None:
    delta = deltas(repeated([10, 10.2, 9.9]), repeated([20, 20.4, 19.8]))["p50 ms"]
    assert delta.direction == "worse" and delta.interval.startswith("+9")
    assert deltas(repeated([10, 20, 15]), repeated([11, 21, 14]))["p50 ms"].direction == ""


def test_more_throughput_is_better() -> None:
    fast = [replace(ARM, throughput=replace(ARM.throughput, correct=rate)) for rate in (580.0, 581.0)]
    slow = [replace(ARM, throughput=replace(ARM.throughput, correct=rate)) for rate in (290.0, 291.0)]
    left, right = (replace(ARM, repeats=tuple(repeats)) for repeats in (slow, fast))
    assert deltas(left, right)["correct/s"].direction == "better"
    assert deltas(right, left)["correct/s"].direction == "worse"


def test_times_that_cannot_be_trusted_prove_nothing() -> None:
    saturated = {"driver": replace(ARM.driver, saturated=True)}
    delta = deltas(repeated([10, 10.1], **saturated), repeated([20, 20.1]))["p50 ms"]
    assert (delta.interval, delta.direction) == ("times cannot be trusted", "")


def test_a_doubtful_p99_proves_nothing_and_a_p50_beside_it_does() -> None:
    doubtful = {"driver": replace(ARM.driver, saturated=False, doubtful=("p99",))}
    found = deltas(repeated([10, 10.1], **doubtful), repeated([20, 20.1]))
    assert found["p50 ms"].direction == "worse"
    assert found["p99 ms"].interval == "times cannot be trusted"


def test_only_the_arms_that_both_have_are_compared() -> None:
    left, right = fakes.summary(), fakes.summary(fakes.TRIO[:2], arms=("fault",))
    assert [(each.design, each.arm) for each in list_deltas(left, right)] == [
        ("sticky", "fault"),
        ("stateless", "fault"),
    ]
