"""Comparisons of sessions without any noise: every ratio is exact, so that each bound shows."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.compare import ComparedRun, Comparison, ComparisonOutcome, MetricComparison, Noise, compare
from harness.results.summary import ArmFigures
from tests.support.compare import Session

REGRESSION, IMPROVED = ComparisonOutcome.REGRESSION, ComparisonOutcome.IMPROVED
EQUIVALENT, INCONCLUSIVE = ComparisonOutcome.EQUIVALENT, ComparisonOutcome.INCONCLUSIVE


def steady(seed: int = 2, **more: Any) -> ComparedRun:
    return Session(**{"seed": seed, "noise": 0.0, "drift": 0.0, "echo_noise": 0.0, **more}).side()


def slower(factor: float, **more: Any) -> ComparedRun:
    return steady(slower={"subject": factor}, **more)


BASELINE = steady(1)


def rows(comparison: Comparison, design: str = "subject", arm: str = "control") -> dict[str, MetricComparison]:
    return {row.measure: row for row in comparison.metrics if (row.design, row.arm) == (design, arm)}


@pytest.mark.parametrize(
    ("factor", "outcome", "why"),
    [
        (1.0999, EQUIVALENT, "the whole interval lies inside the margin"),
        (1.1001, REGRESSION, "the whole interval lies beyond the margin, in each half or session of both sides too"),
        (1 / 1.0999, EQUIVALENT, "the whole interval lies inside the margin"),
        (1 / 1.1001, IMPROVED, "the whole interval lies beyond the margin, in each half or session of both sides too"),
    ],
)
def test_the_margin_is_a_tenth_up_or_down(factor: float, outcome: ComparisonOutcome, why: str) -> None:
    measured = rows(compare(slower(factor), BASELINE))
    for measure in ("throughput", "p50", "p99", "cpu"):
        row = measured[measure]
        assert (row.outcome, row.why, row.pairs) == (outcome, why, (6, 6))
        assert row.ratio == pytest.approx(factor) and row.interval == pytest.approx((factor, factor))
    assert measured["bytes"].ratio == pytest.approx(1.0)


def test_a_margin_of_ones_own_replaces_it() -> None:
    assert rows(compare(slower(1.04), BASELINE, 0.05))["p50"].outcome is EQUIVALENT
    assert rows(compare(slower(1.06), BASELINE, 0.05))["p50"].outcome is REGRESSION
    assert compare(slower(1.06), BASELINE, 0.05).margin == 0.05 and compare(BASELINE, BASELINE).margin == 0.1


@pytest.mark.parametrize(("pairs", "outcome"), [(5, INCONCLUSIVE), (6, REGRESSION), (7, REGRESSION)])
def test_six_pairs_on_each_side_are_enough(pairs: int, outcome: ComparisonOutcome) -> None:
    few, many = slower(1.5, pairs=pairs), steady(1, pairs=9)
    assert rows(compare(few, many))["p50"].outcome is outcome
    row = rows(compare(slower(1.5, pairs=9), steady(1, pairs=pairs)))["p50"]
    assert (row.outcome, row.pairs) == (outcome, (9, pairs))
    if outcome is INCONCLUSIVE:
        assert row.why == "5 pairs, at least 6 are needed (--repeat 6)"


@pytest.mark.parametrize(("pairs", "interval"), [(1, None), (2, 1.5), (5, 1.5)])
def test_what_too_few_pairs_saw_is_shown_and_decides_nothing(pairs: int, interval: float | None) -> None:
    for row in (
        rows(compare(slower(1.5, pairs=pairs), steady(1, pairs=9)))["p50"],
        rows(compare(slower(1.5, pairs=9), steady(1, pairs=pairs)))["p50"],
    ):
        assert row.outcome is INCONCLUSIVE and row.has_too_few_pairs
        assert row.ratio == pytest.approx(1.5)
        assert row.interval == (None if interval is None else pytest.approx((interval, interval)))
    enough = rows(compare(slower(1.5), BASELINE))["p50"]
    assert not enough.has_too_few_pairs


def test_without_a_pair_on_either_side_there_is_no_ratio() -> None:
    tired = changed_subject(steady(), lambda arm: replace(arm, driver=replace(arm.driver, saturated=True)))
    for comparison in (compare(tired, BASELINE), compare(BASELINE, tired)):
        assert (rows(comparison)["p50"].ratio, rows(comparison)["p50"].interval) == (None, None)


def _halved(repeat: ArmFigures, what: str) -> ArmFigures:
    figures: Any = getattr(repeat, what)
    changed = {
        "throughput": {"correct": 200.0},
        "resources": {"cpu_ms_per_request": 0.4},
        "bytes": {
            "request_mean": 2 * (repeat.bytes.request_mean or 0),
            "response_mean": 2 * (repeat.bytes.response_mean or 0),
        },
    }[what]
    return replace(repeat, **{what: replace(figures, **changed)})


def changed_subject(
    side: ComparedRun, change: Callable[[ArmFigures], ArmFigures], design: str = "subject"
) -> ComparedRun:
    """The side with every repeat of the control of one design changed."""
    summary = side.summary.designs[design]
    arm = summary.arms["control"]
    repeats = tuple(change(repeat) for repeat in arm.repeats)
    designs = {**side.summary.designs, design: replace(summary, arms={"control": replace(arm, repeats=repeats)})}
    return replace(side, summary=replace(side.summary, designs=designs))


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("throughput", lambda arm: _halved(arm, "throughput")),
        ("p50", lambda arm: replace(arm, latency_ms=replace(arm.latency_ms, p50=40.0))),
        ("p99", lambda arm: replace(arm, latency_ms=replace(arm.latency_ms, p99=60.0))),
        ("cpu", lambda arm: _halved(arm, "resources")),
        ("bytes", lambda arm: _halved(arm, "bytes")),
    ],
)
def test_each_measure_reads_its_own_figure(measure: str, change: Callable[[ArmFigures], ArmFigures]) -> None:
    measured = rows(compare(changed_subject(BASELINE, change), BASELINE))
    ratios = {name: row.ratio for name, row in measured.items()}
    assert ratios == pytest.approx({**dict.fromkeys(measured, 1.0), measure: 2.0})


def test_what_is_too_unsteady_does_not_gate() -> None:
    side = steady(arms=("control", "fault"))
    gates = {(row.measure, row.against) for row in compare(side, side).metrics if row.gates}
    steadiest = {
        (measure, divisor) for measure in ("throughput", "p50", "bytes") for divisor in ("reference", "its control")
    }
    assert gates == steadiest | {("bytes", "the echo")}


def test_an_echo_is_the_floor_under_each_measure_of_the_reference() -> None:
    controls = BASELINE.summary.controls
    assert controls.echo is not None
    echo = replace(controls.echo, throughput=40_000.0, p50_ms=1.4, p99_ms=4.8)
    faster = replace(controls, echo=replace(echo, repeats=(echo,) * 6))
    run = replace(BASELINE, summary=replace(BASELINE.summary, controls=faster))
    ratios = {name: row.ratio for name, row in rows(compare(run, BASELINE), "reference").items()}
    assert ratios == pytest.approx({"throughput": 2.0, "p50": 0.5, "p99": 1 / 3, "cpu": 2.0, "bytes": 1.0})
    assert {name: row.against for name, row in rows(compare(run, BASELINE)).items()} == dict.fromkeys(
        ratios, "reference"
    )


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda arm: replace(arm, driver=replace(arm.driver, saturated=True)),
        lambda arm: replace(arm, resources=replace(arm.resources, starved=True)),
        lambda arm: replace(arm, latency_ms=replace(arm.latency_ms, p50=None)),
        lambda arm: replace(arm, latency_ms=replace(arm.latency_ms, p50=0.0)),
    ],
)
def test_a_repeat_that_cannot_be_trusted_or_measured_nothing_makes_no_pair(spoilt: Any) -> None:
    for design in ("subject", "reference"):
        side = changed_subject(steady(), spoilt, design)
        assert rows(compare(side, BASELINE))["p50"].pairs == (0, 6)
        assert rows(compare(BASELINE, side))["p50"].pairs == (6, 0)


def test_rounds_whose_echo_broke_make_no_pair_with_it() -> None:
    controls = BASELINE.summary.controls
    assert controls.echo is not None
    broken = replace(controls, echo=replace(controls.echo, repeats=(None, *controls.echo.repeats[1:])))
    run = replace(BASELINE, summary=replace(BASELINE.summary, controls=broken))
    assert rows(compare(run, BASELINE), "reference")["p50"].pairs == (5, 6)
    assert rows(compare(run, BASELINE))["p50"].pairs == (6, 6)
    none = replace(BASELINE, summary=replace(BASELINE.summary, controls=replace(controls, echo=None)))
    assert rows(compare(none, BASELINE), "reference")["p50"].pairs == (0, 6)
    assert compare(none, BASELINE).noise.echo is None


@pytest.mark.parametrize("factor", [1.04, 1 / 1.04])
def test_the_noise_is_how_far_the_a_a_arm_lay_from_its_twin_either_way(factor: float) -> None:
    noise = compare(steady(aa_slower=factor), BASELINE).noise
    moved = {"throughput": 0.04, "p50": 0.04, "p99": 0.04, "cpu": 0.04, "bytes": 0.0}
    assert noise.aa == pytest.approx(moved) and noise.echo == pytest.approx((1.0, 1.0))
    assert compare(BASELINE, steady(aa_slower=factor)).noise.aa == pytest.approx(moved)


def test_the_noise_is_that_of_the_noisiest_session_and_unknown_if_one_has_none() -> None:
    noisy = replace(steady(3, aa_slower=1.02), also=(steady(4, aa_slower=1.05), steady(5, aa_slower=1.03)))
    assert compare(noisy, BASELINE).noise.aa["p50"] == pytest.approx(0.05)
    bare = replace(BASELINE, summary=replace(BASELINE.summary, controls=replace(BASELINE.summary.controls, aa=None)))
    assert compare(replace(noisy, also=(bare,)), BASELINE).noise.aa["p50"] is None


def test_the_echo_is_compared_from_two_rounds_on() -> None:
    assert compare(steady(pairs=1), BASELINE).noise.echo is None
    assert compare(BASELINE, steady(pairs=1)).noise.echo is None
    assert compare(steady(pairs=2, speed=0.8), BASELINE).noise.echo == pytest.approx((0.8, 0.8))


KNOWN = {"p50": 0.03, "p99": 0.05, "cpu": 0.0501, "bytes": None}


@pytest.mark.parametrize(
    ("echo", "measure", "moved", "doubt"),
    [
        ((1.0, 1.0), "p50", 0.0, ""),
        ((1.0, 1.0), "p99", 0.0, ""),
        ((1.0, 1.0), "cpu", 0.0, "the A/A arm, which is the same twice, moved by 5.0%"),
        ((1.0, 1.0), "bytes", 0.0, "without an A/A arm and an echo in both runs the noise is unknown"),
        ((1.0, 1.0), "throughput", 0.0, "without an A/A arm and an echo in both runs the noise is unknown"),
        (None, "p50", 0.0, "without an A/A arm and an echo in both runs the noise is unknown"),
        ((1.05, 1.2), "p50", 0.0, ""),
        ((1.051, 1.2), "p50", 0.0, "the echo ran at 105% to 120% of its speed in the baseline's session"),
        ((0.8, 0.953), "p50", 0.0, ""),
        ((0.8, 0.952), "p50", 0.0, "the echo ran at 80% to 95% of its speed in the baseline's session"),
        ((0.8, 1.2), "p50", 0.0, ""),
        ((1.0, 1.0), "p50", math.log(1.029), "no more than the A/A arm moved (3.0%)"),
        ((1.0, 1.0), "p50", math.log1p(0.03), "no more than the A/A arm moved (3.0%)"),
        ((1.0, 1.0), "p50", math.log(1.031), ""),
        ((1.0, 1.0), "p50", 1e-6, "no more than the A/A arm moved (3.0%)"),
    ],
)
def test_a_shift_is_believed_beyond_what_should_not_have_moved(
    echo: tuple[float, float] | None, measure: str, moved: float, doubt: str
) -> None:
    assert Noise(KNOWN, echo).find_doubt(measure, moved) == doubt


def test_a_doubt_replaces_the_outcome_and_keeps_what_it_would_have_been() -> None:
    shifted = rows(compare(slower(1.5, aa_slower=1.06), BASELINE))["p50"]
    doubt = "the A/A arm, which is the same twice, moved by 6.0%"
    assert (shifted.outcome, shifted.why) == (INCONCLUSIVE, f"{doubt}; without that: regression")
    same = rows(compare(steady(aa_slower=1.06), BASELINE))["p50"]
    assert (same.outcome, same.why) == (INCONCLUSIVE, f"{doubt}; without that: equivalent")
    assert shifted.ratio == pytest.approx(1.5)


def test_an_unsteady_measure_counts_as_a_regression_alone() -> None:
    slow_tail, fast_tail = (
        changed_subject(BASELINE, lambda arm, p99=p99: replace(arm, latency_ms=replace(arm.latency_ms, p99=p99)))  # type: ignore[misc]
        for p99 in (60.0, 15.0)
    )
    worse = compare(slow_tail, BASELINE)
    assert worse.outcome is REGRESSION
    assert worse.why == (f"subject, control arm: p99 against reference: {rows(worse)['p99'].why}",)
    assert rows(compare(fast_tail, BASELINE))["p99"].outcome is IMPROVED
    assert compare(fast_tail, BASELINE).outcome is EQUIVALENT and compare(fast_tail, BASELINE).why == ()


def test_three_names_are_given_with_one_reason_and_the_others_counted() -> None:
    side = steady(designs=("reference", "a", "b"), slower={"a": 1.5, "b": 1.5})
    base = steady(1, designs=("reference", "a", "b"))
    (why,) = compare(side, base).why
    named, _, reason = why.partition("; and 5 more: ")
    assert named.split("; ") == [
        f"a, control arm: {measure} against reference" for measure in ("throughput", "p50", "p99")
    ]
    assert reason.startswith("the whole interval lies beyond")
    three = changed_subject(
        base,
        lambda arm: replace(_halved(arm, "throughput"), latency_ms=replace(arm.latency_ms, p50=40.0, p99=60.0)),
        "a",
    )
    assert compare(three, base).why[0].split(": the whole")[0].count("; ") == 2


def test_a_design_improved_for_certain_where_the_echo_shows_that_the_reference_did_not_get_worse() -> None:
    assert compare(slower(0.5), BASELINE).outcome is IMPROVED
    worse_reference = compare(steady(slower={"reference": 2.0}), BASELINE)
    assert {row.outcome for row in rows(worse_reference).values()} == {IMPROVED, EQUIVALENT}
    assert worse_reference.outcome is REGRESSION, "the echo shows it"
    better_both = compare(steady(slower={"reference": 0.5, "subject": 0.2}), BASELINE)
    assert better_both.outcome is IMPROVED


def test_a_fault_arm_that_improved_is_not_held_against_the_echo() -> None:
    base = steady(1, arms=("control", "fault"), echo_noise=0.9)
    summary = base.summary.designs["subject"]
    fault = summary.arms["fault"]
    quick = replace(
        fault, repeats=tuple(replace(arm, latency_ms=replace(arm.latency_ms, p50=5.0)) for arm in fault.repeats)
    )
    designs = {**base.summary.designs, "subject": replace(summary, arms={**summary.arms, "fault": quick})}
    comparison = compare(replace(base, summary=replace(base.summary, designs=designs)), base)
    assert rows(comparison, arm="fault")["p50"].outcome is IMPROVED
    assert comparison.outcome is IMPROVED, comparison.why


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("regression", 1), ("not comparable", 3), ("inconclusive", 3), ("improved", 0), ("equivalent", 0)],
)
def test_each_outcome_has_its_exit_code(outcome: str, code: int) -> None:
    assert ComparisonOutcome(outcome).exit_code == code
