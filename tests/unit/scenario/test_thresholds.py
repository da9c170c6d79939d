"""Thresholds: on what they hold, what they cannot know, and the text that states them."""

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.metrics.fold import fold
from harness.common.errors import UsageError
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, Controls, DesignSummary, Summary
from harness.results.verdicts import Verdict
from harness.scenario.expectations import (
    Expect,
    availability_above,
    encode,
    errors_below,
    finds,
    keeps,
    loses_at_most,
    p50_below,
    p90_below,
    p99_below,
    p999_below,
    recall,
    throughput_above,
)
from harness.scenario.expectations.thresholds import Threshold
from tests.support.clocks_and_topology import RequestRow, kill_at, observed


def rows(begin: float, end: float, ms: float, writes: bool = True, **more: Any) -> list[RequestRow]:
    """A hundred requests per second: writes, called POST /cart/add, or reads, called GET /cart."""
    count = round(100 * (end - begin))
    return [RequestRow(1, begin + n / 100, took=ms / 1000, op=n + 1 if writes else 0, **more) for n in range(count)]


def watched(arm: ArmFigures) -> ArmFigures:
    return replace(arm, driver=replace(arm.driver, saturated=False))


CONTROL = watched(fold(observed([*rows(0, 4, 10), *rows(4, 8, 10, writes=False)])))
FAULT = watched(
    fold(
        observed(
            [*rows(0, 4, 10), *rows(4, 5, 300, outcome="failed", status=503), *rows(5, 9, 20, writes=False)],
            kill_at(4.0, healed=5.0),
        )
    )
)


def judged(expect: Expect, **arms: ArmFigures) -> Verdict:
    design = DesignSummary({}, arms or {"control": CONTROL, "fault": FAULT}, SessionOutcome.KEPT)
    (verdict,) = replace(expect, designs=("d",)).judge(Summary("s", "r", {"d": design}, Controls(None, None)))
    return verdict


def test_requests_are_made_as_said() -> None:
    assert CONTROL.latency_ms.p99 == 10 and FAULT.latency_ms.max == 300
    assert FAULT.requests.failed == 100


@pytest.mark.parametrize(
    ("expect", "result"),
    [
        (p50_below("11ms", during="control"), "pass"),
        (p50_below("10ms", during="control"), "fail"),
        (p90_below("11ms", during="control"), "pass"),
        (p99_below("200ms"), "fail"),
        (p99_below("200ms", during="control"), "pass"),
        (p99_below("200ms", during="fault"), "fail"),
        (p99_below("200ms", during="before"), "pass"),
        (p999_below("299ms", during="during"), "fail"),
        (p99_below("21ms", name="GET /cart"), "pass"),
        (p99_below("19ms", name="GET /cart"), "fail"),
        (p99_below("19ms", name="GET /cart", during="control"), "pass"),
        (p99_below("21ms", name="GET /cart", during="before"), "unknown"),
        (p99_below("21ms", name="GET /nothing"), "unknown"),
        (errors_below(0.001, during="control"), "pass"),
        (errors_below(0, during="control"), "pass"),
        (errors_below(0.001), "fail"),
        (errors_below(0.001, during="before"), "pass"),
        (errors_below(0.12, during="fault"), "pass"),
        (errors_below(0.11, during="fault"), "fail"),
        (availability_above(0.999, during="control"), "pass"),
        (availability_above(1.0, during="control"), "pass"),
        (availability_above(0.88, during="fault"), "pass"),
        (availability_above(0.89, during="fault"), "fail"),
        (availability_above(0.99, name="GET /cart"), "pass"),
        (throughput_above(79, during="control"), "pass"),
        (throughput_above(81, during="control"), "fail"),
        (throughput_above(39, during="control", name="GET /cart"), "pass"),
        (throughput_above(41, during="control", name="GET /cart"), "fail"),
    ],
)
def test_a_threshold_holds_in_its_arm_phase_and_name(expect: Expect, result: str) -> None:
    verdict = judged(expect)
    assert verdict.result.value == result, verdict


def test_a_wrong_reply_is_ok_and_not_available() -> None:
    arm = watched(fold(observed([*rows(0, 4, 10), *rows(4, 8, 10, anomaly="stale")])))
    assert judged(errors_below(0.001), control=arm).result.value == "pass"
    assert judged(availability_above(0.6), control=arm).result.value == "fail"
    assert judged(availability_above(0.4), control=arm).result.value == "pass"


@pytest.mark.parametrize("saturated", [True, None])
@pytest.mark.parametrize("expect", [p99_below("1ms"), errors_below(0.9), availability_above(0.1), throughput_above(1)])
def test_behind_a_saturated_or_unwatched_driver_nothing_is_known(expect: Expect, saturated: bool | None) -> None:
    arm = replace(CONTROL, driver=replace(CONTROL.driver, saturated=saturated))
    assert judged(expect, control=arm).result.value == "unknown"


def test_a_percentile_that_may_be_the_drivers_own_delay_is_unknown() -> None:
    why = "up to 2.5 ms of a p99 of 2 ms may be its own delay"
    arm = replace(CONTROL, driver=replace(CONTROL.driver, doubtful=("p99",), doubts=(why,)))
    tail = judged(p99_below("1s"), control=arm)
    assert tail.result.value == "unknown" and why in tail.why
    assert judged(p50_below("1s"), control=arm).result.value == "pass"
    assert judged(errors_below(0.5), control=arm).result.value == "pass"


def test_in_front_of_a_design_that_was_short_of_a_core_nothing_is_known() -> None:
    arm = replace(CONTROL, resources=replace(CONTROL.resources, starved=True))
    assert judged(p99_below("1s"), control=arm).result.value == "unknown"


def test_a_phase_or_arm_that_was_not_there_is_unknown() -> None:
    for during in ("before", "during", "after", "fault"):
        assert judged(p99_below("1s", during=during), control=CONTROL).result.value == "unknown"


@pytest.mark.parametrize(("limit", "result"), [("9ms", "fail"), ("11ms", "unknown")])
def test_a_lower_bound_can_break_a_threshold_and_cannot_keep_it(limit: str, result: str) -> None:
    bound = replace(CONTROL, latency_is_lower_bound=True)
    for expect in (p99_below(limit), p99_below(limit, name="GET /cart")):
        assert judged(expect, control=bound).result.value == result


def test_no_request_at_all_is_unknown() -> None:
    assert judged(errors_below(0.5), control=watched(fold(observed([RequestRow(1, 20.0)])))).result.value == "unknown"


TEXTS = {
    "p99<200ms": p99_below("200ms"),
    " p99  <=  200ms ": p99_below("200ms"),
    "errors < 0.1 %": errors_below(0.001),
    "errors<0.001": errors_below(0.001),
    "throughput > 500/s": throughput_above(500),
    "throughput > 12.5": throughput_above(12.5),
    "availability > 99.9 % during fault": availability_above(0.999, during="fault"),
    "sticky: p99(GET /cart) < 200ms during before": p99_below("200ms", "sticky", during="before", name="GET /cart"),
    "a, b:p50(GET /x?(y)<z)<1s": p50_below("1s", "a", "b", name="GET /x?(y)<z"),
    "p50 < 200 ms": p50_below("200ms"),
    "max < 1m30s": Threshold(metric="max", limit=90_000.0),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_states_a_threshold(text: str) -> None:
    expected = TEXTS[text]
    stated = Threshold.parse(text)
    assert isinstance(expected, Threshold)
    assert stated.limit == pytest.approx(expected.limit)
    assert replace(stated, limit=expected.limit) == expected


@pytest.mark.parametrize("text", TEXTS)
def test_the_title_of_a_threshold_states_it_again(text: str) -> None:
    stated = Threshold.parse(text)
    again = Threshold.parse(stated.title)
    assert again.title == stated.title
    assert replace(again, designs=stated.designs, limit=stated.limit) == stated


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no expectation"),
        ("p99", "is no expectation"),
        ("p99 < ", "is no expectation"),
        ("p99 = 200ms", "is no expectation"),
        ("p97 < 200ms", "no metric 'p97'"),
        ("p99 > 200ms", "limited by <"),
        ("errors > 1%", "limited by <"),
        ("availability < 0.9", "limited by >"),
        ("p99 < 200", "not a duration"),
        ("errors < many", "not a limit of errors"),
        ("errors < 2", "a share"),
        ("errors < nan", "limit must be float, not nan"),
        ("throughput > 5%", "no share"),
        ("p99 < 200ms during lunch", "no phase"),
    ],
)
def test_a_text_that_states_none_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(UsageError) as problem:
        Threshold.parse(text)
    assert says in problem.value.message


def test_expectations_are_the_same_after_they_were_kept() -> None:
    stated = [
        keeps("a"),
        finds("a", among=("lost", "stale")),
        loses_at_most("a", seconds=2),
        p99_below("200ms", "a", during="before", name="GET /cart"),
    ]
    assert list(recall(encode(stated), ())) == stated


def test_a_kept_expectation_that_was_damaged_is_refused() -> None:
    (kept,) = encode([loses_at_most("a", seconds=2)])
    for damage in ({"seconds": "two"}, {"seconds": -1}, {"designs": 3}):
        with pytest.raises(UsageError, match="cut off or foreign"):
            recall([{**kept, **damage}], ())


def test_a_kept_expectation_of_an_unknown_kind_stands_by_its_recorded_verdict() -> None:
    recorded = [Verdict("mine", judged(keeps()).result, "as it was", "a")]
    (own,) = recall([{"expect": "mine", "foreign": True}], recorded)
    assert list(own.judge(Summary("s", "r", {}, Controls(None, None)))) == recorded


@pytest.mark.parametrize("number", [200, 0.2])
def test_a_latency_without_a_unit_is_refused(number: float) -> None:
    with pytest.raises(UsageError, match=r"p99_below\(.*\): a latency has a unit"):
        p99_below(number)  # type: ignore[arg-type] # what is refused
