"""Every verdict of a comparison, and how often it errs on sessions whose truth is known."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.compare import (
    ComparedRun,
    Comparison,
    ComparisonOutcome,
    MetricComparison,
    compare,
    read_and_compare,
)
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures
from harness.results.verdicts import Result, Verdict
from tests.support.compare import Session, changed, kept

BASELINE = Session(seed=1).side()
RUN = Session(seed=2).side()
TURNED = {
    ComparisonOutcome.REGRESSION: ComparisonOutcome.IMPROVED,
    ComparisonOutcome.IMPROVED: ComparisonOutcome.REGRESSION,
}


def metric(comparison: Comparison, measure: str, design: str = "subject", arm: str = "control") -> MetricComparison:
    return next(row for row in comparison.metrics if (row.design, row.arm, row.measure) == (design, arm, measure))


def slow(factor: float, seed: int = 2, **more: float) -> ComparedRun:
    return Session(seed=seed, slower={"subject": factor, **more}).side()


def test_a_build_against_itself_is_equivalent_whatever_the_machine_does_between_rounds() -> None:
    comparison = compare(RUN, BASELINE)
    assert comparison.outcome is ComparisonOutcome.EQUIVALENT, comparison.why
    assert comparison.outcome.exit_code == 0
    low, high = metric(comparison, "throughput").interval or (0, 0)
    assert 1 / 1.1 < low < 1 < high < 1.1


def test_a_design_that_became_slower_is_a_regression_that_names_it() -> None:
    comparison = compare(slow(1.25), BASELINE)
    assert comparison.outcome is ComparisonOutcome.REGRESSION
    assert comparison.outcome.exit_code == 1
    assert metric(comparison, "p50").outcome is ComparisonOutcome.REGRESSION
    assert metric(comparison, "p50").ratio == pytest.approx(1.25, rel=0.05)
    assert {row.design for row in comparison.metrics if row.outcome is ComparisonOutcome.REGRESSION} == {"subject"}
    assert any("subject, control arm: p50 against reference" in why for why in comparison.why)


def test_less_throughput_is_worse_and_its_ratio_lies_above_one() -> None:
    assert (metric(compare(slow(1.25), BASELINE), "throughput").ratio or 0) > 1.1


def test_a_design_that_became_faster_is_improved() -> None:
    quiet = Session(seed=1, drift=0.0).side()
    comparison = compare(Session(seed=2, drift=0.0, slower={"subject": 0.7}).side(), quiet)
    assert comparison.outcome is ComparisonOutcome.IMPROVED, comparison.why
    assert comparison.outcome.exit_code == 0


def test_a_shift_of_the_size_of_the_margin_is_inconclusive() -> None:
    comparison = compare(slow(1.1), BASELINE)
    assert metric(comparison, "p50").outcome is ComparisonOutcome.INCONCLUSIVE
    assert (comparison.outcome, comparison.outcome.exit_code) == (ComparisonOutcome.INCONCLUSIVE, 3)


def test_a_wider_margin_lets_it_pass() -> None:
    assert compare(slow(1.25), BASELINE, margin=0.5).outcome is ComparisonOutcome.EQUIVALENT


def test_a_reference_that_became_slower_does_not_make_the_others_look_better() -> None:
    """The echo is too unsteady here to show which of the two it was."""
    comparison = compare(
        Session(seed=2, echo_noise=0.5, slower={"reference": 1.4}).side(), Session(seed=1, echo_noise=0.5).side()
    )
    assert metric(comparison, "p50").outcome is ComparisonOutcome.IMPROVED
    assert metric(comparison, "p50", "reference").outcome is ComparisonOutcome.INCONCLUSIVE
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE
    assert "reference became worse" in " ".join(comparison.why)


def test_a_reference_that_became_slower_is_seen_against_the_echo_where_that_is_steady() -> None:
    comparison = compare(slow(1.4, reference=1.4), BASELINE)
    assert metric(comparison, "throughput", "reference").outcome is ComparisonOutcome.REGRESSION
    assert comparison.outcome is ComparisonOutcome.REGRESSION


def test_a_fault_arm_is_held_against_its_own_control() -> None:
    both = Session(seed=1, arms=("control", "fault")).side()
    comparison = compare(Session(seed=2, arms=("control", "fault"), slower={"subject": 1.5}).side(), both)
    assert metric(comparison, "p50", arm="fault").outcome is ComparisonOutcome.EQUIVALENT
    assert metric(comparison, "p50", arm="control").outcome is ComparisonOutcome.REGRESSION


@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_fewer_than_six_pairs_say_nothing_about_times_and_all_about_losses(pairs: int) -> None:
    few = Session(seed=2, pairs=pairs, slower={"subject": 3.0}).side()
    comparison = compare(few, BASELINE)
    assert {row.outcome for row in comparison.metrics} == {ComparisonOutcome.INCONCLUSIVE}
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE
    assert "--repeat 6" in " ".join(comparison.why)
    if pairs > 1:
        lossy = changed(few, "subject", 0, {"lost": 1}, "writes")
        assert compare(lossy, BASELINE).outcome is ComparisonOutcome.REGRESSION


def test_too_few_pairs_show_the_ratio_that_they_saw() -> None:
    once, twice = (
        metric(compare(Session(seed=2, pairs=pairs, slower={"subject": 3.0}).side(), BASELINE), "p50")
        for pairs in (1, 2)
    )
    assert once.ratio == pytest.approx(3.0, rel=0.3) and once.interval is None
    assert twice.ratio is not None and twice.ratio == pytest.approx(3.0, rel=0.3)
    assert twice.interval is not None and twice.interval[0] < twice.ratio < twice.interval[1]
    assert (
        once.has_too_few_pairs
        and twice.has_too_few_pairs
        and not metric(compare(RUN, BASELINE), "p50").has_too_few_pairs
    )


@pytest.mark.parametrize("noisy", ["run", "baseline"])
def test_an_a_a_arm_that_moved_makes_it_inconclusive(noisy: str) -> None:
    moved = Session(seed=3, aa_slower=1.08, slower={"subject": 1.25 if noisy == "run" else 1.0}).side()
    comparison = compare(moved, BASELINE) if noisy == "run" else compare(slow(1.25), moved)
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE
    assert metric(comparison, "p50").why.endswith("without that: regression")
    assert "A/A" in " ".join(comparison.why)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.3])
def test_an_echo_that_moved_makes_it_inconclusive(speed: float) -> None:
    steady = Session(seed=1, drift=0.02).side()
    comparison = compare(Session(seed=2, drift=0.02, speed=speed, slower={"subject": 1.25}).side(), steady)
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE
    assert "echo" in " ".join(comparison.why)


def test_without_an_a_a_arm_the_noise_is_unknown() -> None:
    bare = replace(RUN, summary=replace(RUN.summary, controls=replace(RUN.summary.controls, aa=None)))
    assert compare(bare, BASELINE).outcome is ComparisonOutcome.INCONCLUSIVE


def test_what_is_flagged_must_exceed_the_a_a_arms_own_movement() -> None:
    base = Session(seed=1, noise=0.001, drift=0.0).side()
    moved = Session(seed=2, noise=0.001, drift=0.0, aa_slower=1.04, slower={"subject": 1.03}).side()
    comparison = compare(moved, base, margin=0.01)
    assert "no more than the A/A arm moved" in metric(comparison, "p50").why
    assert metric(comparison, "p50").outcome is ComparisonOutcome.INCONCLUSIVE


def test_what_happened_in_half_the_session_alone_is_not_flagged() -> None:
    """Sixty pairs make the interval narrow enough: only that it does not recur keeps it from being a regression."""
    calm, slowed = (Session(seed=2, pairs=60, drift=0.0, slower={"subject": factor}).side() for factor in (1.0, 1.7))
    early, late = (side.summary.designs["subject"].arms["control"].repeats for side in (calm, slowed))
    before = Session(seed=1, pairs=60, drift=0.0).side()
    mixed = _with_arm(calm, replace(early[0], repeats=(*early[:30], *late[30:])))
    p50 = metric(compare(mixed, before), "p50")
    assert (p50.interval or (0, 0))[0] > 1.1
    assert p50.outcome is ComparisonOutcome.INCONCLUSIVE
    assert "each half" in p50.why


def _with_arm(side: ComparedRun, arm: ArmFigures) -> ComparedRun:
    summary = side.summary.designs["subject"]
    designs = {**side.summary.designs, "subject": replace(summary, arms={"control": arm})}
    return replace(side, summary=replace(side.summary, designs=designs))


def test_repeats_with_a_saturated_driver_do_not_count() -> None:
    arm = RUN.summary.designs["subject"].arms["control"]
    tired = replace(arm.repeats[0], driver=replace(arm.driver, saturated=True))
    comparison = compare(_with_arm(RUN, replace(arm, repeats=(tired, *arm.repeats[1:]))), BASELINE)
    assert metric(comparison, "p50").pairs == (5, 6)
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE


def test_repeats_with_a_doubtful_p99_count_for_all_other_measures() -> None:
    arm = RUN.summary.designs["subject"].arms["control"]
    delayed = replace(arm.repeats[0], driver=replace(arm.driver, doubtful=("p99",)))
    comparison = compare(_with_arm(RUN, replace(arm, repeats=(delayed, *arm.repeats[1:]))), BASELINE)
    assert metric(comparison, "p99").pairs == (5, 6)
    assert metric(comparison, "p50").pairs == (6, 6)


def test_a_measure_that_does_not_gate_may_be_inconclusive_and_the_rest_still_passes() -> None:
    arm = RUN.summary.designs["subject"].arms["control"]
    wild = itertools.cycle((0.5, 2.0, 1.0))
    repeats = tuple(
        replace(repeat, latency_ms=replace(repeat.latency_ms, p99=(repeat.latency_ms.p99 or 0) * next(wild)))
        for repeat in arm.repeats
    )
    comparison = compare(_with_arm(RUN, replace(arm, repeats=repeats)), BASELINE)
    assert metric(comparison, "p99").outcome is ComparisonOutcome.INCONCLUSIVE
    assert comparison.outcome is ComparisonOutcome.EQUIVALENT, comparison.why


COUNTS: list[tuple[str, str]] = [
    ("sessions", "lost"), ("sessions", "rolled_back"), ("sessions", "stale"), ("sessions", "leaked"),
    ("sessions", "forced_login"), ("sessions", "lost_not_at_risk"), ("writes", "lost"), ("writes", "duplicated"),
    ("writes", "unexplained"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "count"), COUNTS)
@pytest.mark.parametrize("index", [0, 5])
def test_a_single_anomaly_in_any_repeat_is_a_regression(what: str, count: str, index: int) -> None:
    comparison = compare(changed(RUN, "subject", index, {count: 1}, what), BASELINE)
    assert comparison.outcome is ComparisonOutcome.REGRESSION
    assert len(comparison.why) == 1 and comparison.why[0].startswith("subject: control arm: 1 ")


def test_a_loss_in_the_a_a_arm_is_a_loss_of_its_design() -> None:
    aa = RUN.summary.controls.aa
    assert aa is not None
    last = aa.arm.repeats[-1]
    repeats = (*aa.arm.repeats[:-1], replace(last, writes=replace(last.writes, lost=1)))
    controls = replace(RUN.summary.controls, aa=replace(aa, arm=replace(aa.arm, repeats=repeats)))
    comparison = compare(replace(RUN, summary=replace(RUN.summary, controls=controls)), BASELINE)
    assert comparison.outcome is ComparisonOutcome.REGRESSION
    assert "reference" in comparison.why[0]


def _losing(side: ComparedRun, *lost: int, count: str = "lost") -> ComparedRun:
    """A design that loses by its theory, so many in each of its first repeats."""
    summary = side.summary.designs["subject"]
    designs = {**side.summary.designs, "subject": replace(summary, describe={**summary.describe, "at_risk": "victim"})}
    side = replace(side, summary=replace(side.summary, designs=designs))
    for index, number in enumerate(lost):
        side = changed(side, "subject", index, {count: number})
    return side


def test_a_design_that_loses_by_its_theory_may_lose_about_as_many_again() -> None:
    before = _losing(BASELINE, 60, 61, 60, 59, 60, 60)
    assert compare(_losing(RUN, 60, 62, 61, 60, 60, 61), before).outcome is ComparisonOutcome.EQUIVALENT
    assert compare(_losing(RUN, 1), _losing(BASELINE, 0)).outcome is ComparisonOutcome.REGRESSION


@pytest.mark.parametrize("count", ["lost", "stale", "rolled_back", "forced_login"])
def test_a_design_that_loses_by_its_theory_must_not_lose_many_more(count: str) -> None:
    few, many = _losing(BASELINE, 1, count=count), _losing(RUN, *[150] * 6, count=count)
    comparison = compare(many, few)
    assert comparison.outcome is ComparisonOutcome.REGRESSION
    assert "900 " in comparison.why[0] and "certainly grew by more than 10%" in comparison.why[0]
    assert compare(few, many).outcome is ComparisonOutcome.IMPROVED


def test_counts_that_chance_could_explain_either_way_are_inconclusive() -> None:
    comparison = compare(_losing(RUN, 70), _losing(BASELINE, 60))
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE
    assert "control arm: 70 sessions lost, 60 in the baseline" in comparison.why[0]


def test_the_margin_holds_for_counts_too() -> None:
    some, half_more = _losing(BASELINE, *[60] * 6), _losing(RUN, *[90] * 6)
    assert compare(half_more, some).outcome is ComparisonOutcome.REGRESSION
    assert compare(half_more, some, margin=0.8).outcome is ComparisonOutcome.EQUIVALENT


def test_a_session_that_could_not_be_judged_leaves_the_comparison_open() -> None:
    comparison = compare(changed(RUN, "subject", 2, {"unknown": 1}), BASELINE)
    assert comparison.outcome is ComparisonOutcome.INCONCLUSIVE
    assert comparison.why == ("subject: control arm: 1 sessions unknown, 0 in the baseline",)
    assert compare(BASELINE, changed(RUN, "subject", 2, {"unknown": 1})).outcome is ComparisonOutcome.EQUIVALENT


def test_as_many_unknown_sessions_as_in_the_baseline_change_nothing() -> None:
    before, alike, more = (
        _losing(side, *counts, count="unknown")
        for side, counts in ((BASELINE, [4] * 6), (RUN, [4, 5, 4, 4, 4, 4]), (RUN, [30] * 6))
    )
    assert compare(alike, before).outcome is ComparisonOutcome.EQUIVALENT
    assert compare(more, before).outcome is ComparisonOutcome.INCONCLUSIVE


def test_every_anomaly_that_an_arm_counts_is_compared() -> None:
    invariants = compare(RUN, BASELINE).invariants
    compared = {invariant.what for invariant in invariants if invariant.design == "subject"}
    for outcome in SessionOutcome:
        assert (f"{outcome.phrase}, control" in compared) is (outcome is not SessionOutcome.KEPT), outcome


def test_a_design_that_keeps_by_its_theory_may_not_lose_more_even_from_a_bad_baseline() -> None:
    loses_one, loses_two = (changed(side, "subject", 0, {"lost": n}) for side, n in ((BASELINE, 1), (RUN, 2)))
    assert compare(loses_two, loses_one).outcome is ComparisonOutcome.REGRESSION
    assert compare(loses_one, loses_two).outcome is ComparisonOutcome.EQUIVALENT


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        (Result.PASS, Result.FAIL, ComparisonOutcome.REGRESSION),
        (Result.UNKNOWN, Result.FAIL, ComparisonOutcome.REGRESSION),
        (Result.FAIL, Result.FAIL, ComparisonOutcome.EQUIVALENT),
        (Result.FAIL, Result.PASS, ComparisonOutcome.EQUIVALENT),
        (Result.PASS, Result.UNKNOWN, ComparisonOutcome.INCONCLUSIVE),
    ],
)
def test_a_verdict_that_fails_only_now_is_a_regression(before: Result, now: Result, outcome: ComparisonOutcome) -> None:
    run, baseline = (
        replace(side, verdicts=(Verdict("finds", result, "why", "subject"),))
        for side, result in ((RUN, now), (BASELINE, before))
    )
    assert compare(run, baseline).outcome is outcome


def test_a_driver_that_was_late_says_nothing_about_losses() -> None:
    late = Verdict("driver_kept_up", Result.UNKNOWN, "late", "subject")
    assert compare(replace(RUN, verdicts=(*RUN.verdicts, late)), BASELINE).outcome is ComparisonOutcome.EQUIVALENT


def test_a_run_that_judged_no_session_leaves_its_invariants_open() -> None:
    side = RUN
    for index in range(6):
        side = changed(side, "subject", index, {"judged": 0})
    assert compare(side, BASELINE).outcome is ComparisonOutcome.INCONCLUSIVE


def _also(*sides: ComparedRun) -> ComparedRun:
    return replace(sides[0], also=sides[1:])


def test_a_shift_of_one_session_alone_is_no_regression_where_there_are_two() -> None:
    again, base_again = Session(seed=3).side(), Session(seed=4).side()
    one_slow = compare(_also(slow(1.4), again), _also(BASELINE, base_again))
    assert metric(one_slow, "p50").outcome is ComparisonOutcome.INCONCLUSIVE
    assert metric(one_slow, "p50").pairs == (12, 12)
    both_slow = compare(_also(slow(1.4), slow(1.4, seed=5)), _also(BASELINE, base_again))
    assert both_slow.outcome is ComparisonOutcome.REGRESSION


def test_pairs_of_two_short_sessions_count_together() -> None:
    sessions = [Session(seed=seed, pairs=3).side() for seed in (1, 2, 3, 4)]
    assert compare(_also(*sessions[:2]), _also(*sessions[2:])).outcome is ComparisonOutcome.EQUIVALENT
    assert compare(sessions[0], sessions[1]).outcome is ComparisonOutcome.INCONCLUSIVE


def test_a_loss_or_a_failed_check_in_any_session_is_a_regression() -> None:
    sound = Session(seed=3).side()
    lossy = changed(sound, "subject", 0, {"lost": 1}, "writes")
    failed = replace(sound, verdicts=(Verdict("keeps", Result.FAIL, "one is gone", "subject"),))
    for broken in (lossy, failed):
        assert compare(_also(RUN, broken), BASELINE).outcome is ComparisonOutcome.REGRESSION
    assert compare(_also(RUN, sound), BASELINE).outcome is ComparisonOutcome.EQUIVALENT


def test_a_noisy_session_leaves_the_times_open() -> None:
    noisy = Session(seed=3, aa_slower=1.08).side()
    for run, baseline in ((_also(RUN, noisy), BASELINE), (RUN, _also(BASELINE, noisy))):
        assert compare(run, baseline).outcome is ComparisonOutcome.INCONCLUSIVE


def test_another_session_of_another_experiment_is_not_comparable() -> None:
    for run, baseline in ((_also(RUN, OTHER["load"]), BASELINE), (RUN, _also(BASELINE, OTHER["load"]))):
        comparison = compare(run, baseline)
        assert comparison.outcome is ComparisonOutcome.NOT_COMPARABLE
        assert comparison.why == ("the load's concurrent is 9, the baseline's is 8",)


def _planned(**change: object) -> ComparedRun:
    return replace(RUN, plan=replace(RUN.plan, **change))  # type: ignore[arg-type]  # a field of the plan by its name


DESIGNS = RUN.plan.designs
OTHER: Mapping[str, ComparedRun] = {
    "hash": _planned(sha256="6" * 64),
    "scenario": _planned(scenario="another"),
    "load": _planned(load={**RUN.plan.load, "concurrent": 9}),
    "kind_of_load": _planned(load={**RUN.plan.load, "kind": "open"}),
    "quick": _planned(flags={"quick": True}),
    "designs": _planned(arms=[], designs={"reference": DESIGNS["reference"]}),
    "order_of_designs": _planned(designs={name: DESIGNS[name] for name in ("subject", "reference")}),
    "replicas": _planned(designs={**DESIGNS, "subject": {**DESIGNS["subject"], "replicas": 5}}),
    "balancer": _planned(designs={**DESIGNS, "subject": {**DESIGNS["subject"], "balancer": "nginx"}}),
}


@pytest.mark.parametrize("run", OTHER.values(), ids=OTHER.keys())
@pytest.mark.parametrize("turned", [False, True])
def test_another_experiment_is_not_comparable_not_even_its_losses(run: ComparedRun, turned: bool) -> None:
    lossy = changed(run, "reference", 0, {"lost": 1})
    comparison = compare(BASELINE, lossy) if turned else compare(lossy, BASELINE)
    assert (comparison.outcome, comparison.outcome.exit_code) == (ComparisonOutcome.NOT_COMPARABLE, 3)
    assert not comparison.metrics and not comparison.invariants
    assert comparison.why


@pytest.mark.parametrize("change", [{"cpu": "Other"}, {"cores": 64}, {"python": "3.12.1"}], ids=lambda c: next(iter(c)))
def test_another_machine_is_not_comparable_except_for_its_losses(change: dict[str, object]) -> None:
    moved = _planned(environment={**RUN.plan.environment, **change})
    comparison = compare(moved, BASELINE)
    assert comparison.outcome is ComparisonOutcome.NOT_COMPARABLE
    assert next(iter(change)) in comparison.why[0]
    assert comparison.metrics == ()
    lossy = changed(moved, "subject", 3, {"lost": 1}, "writes")
    assert compare(lossy, BASELINE).outcome is ComparisonOutcome.REGRESSION
    allowed = compare(moved, BASELINE, allow_environment=True)
    assert allowed.outcome is ComparisonOutcome.EQUIVALENT
    assert allowed.declared


@pytest.mark.parametrize("change", [{"python": "3.11.9"}, {"kernel": "Linux 6.9"}], ids=lambda c: next(iter(c)))
def test_a_patch_of_python_or_the_kernel_is_the_same_machine(change: dict[str, object]) -> None:
    assert (
        compare(_planned(environment={**RUN.plan.environment, **change}), BASELINE).outcome
        is ComparisonOutcome.EQUIVALENT
    )


def test_what_else_differs_is_reported() -> None:
    described = {**DESIGNS, "subject": {**DESIGNS["subject"], "service_time_s": 0.025}}
    comparison = compare(_planned(designs=described, versions={"session-harness": "0.2"}), BASELINE)
    assert comparison.outcome is ComparisonOutcome.EQUIVALENT
    assert len(comparison.changes) == 2


def test_several_reasons_are_given_once_each() -> None:
    moved = Session(seed=2, drift=0.02, speed=0.5).side()
    comparison = compare(moved, Session(seed=1, drift=0.02).side())
    assert len(comparison.why) == 1
    assert "; and 1 more: the echo ran at" in comparison.why[0]


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    slower=st.tuples(st.floats(0.6, 1.7), st.floats(0.6, 1.7)),
    noise=st.sampled_from([0.005, 0.02, 0.05]),
    pairs=st.integers(5, 9),
)
def test_with_the_sides_exchanged_a_regression_is_an_improvement_and_all_else_the_same(
    seeds: tuple[int, int], slower: tuple[float, float], noise: float, pairs: int
) -> None:
    first, second = (
        Session(seed=seed, slower={"subject": factor}, noise=noise, pairs=pairs).side()
        for seed, factor in zip(seeds, slower, strict=True)
    )
    there, back = compare(first, second), compare(second, first)
    for a, b in zip(there.metrics, back.metrics, strict=True):
        assert b.outcome is TURNED.get(a.outcome, a.outcome), a.name
        if a.ratio is not None:
            assert a.ratio * (b.ratio or 0) == pytest.approx(1)


def outcomes(trials: int, slower: float, noise: float, pairs: int) -> Counter[ComparisonOutcome]:
    counts: Counter[ComparisonOutcome] = Counter()
    for index in range(trials):
        baseline = Session(seed=2 * index, noise=noise, pairs=pairs).side()
        run = Session(seed=2 * index + 1, noise=noise, pairs=pairs, slower={"subject": slower}).side()
        counts[compare(run, baseline).outcome] += 1
    return counts


@pytest.mark.slow
@pytest.mark.sampled
@pytest.mark.parametrize(("noise", "pairs"), [(0.05, 6), (0.15, 6), (0.05, 12)])
def test_noise_alone_is_not_called_a_regression(noise: float, pairs: int) -> None:
    assert outcomes(60, 1.0, noise, pairs)[ComparisonOutcome.REGRESSION] == 0


@pytest.mark.slow
@pytest.mark.sampled
def test_a_build_against_itself_passes_where_ratios_vary_by_two_per_cent() -> None:
    assert outcomes(60, 1.0, 0.015, 6)[ComparisonOutcome.EQUIVALENT] >= 54


@pytest.mark.slow
@pytest.mark.sampled
def test_a_quarter_slower_is_found_at_two_per_cent_with_six_pairs_and_at_five_with_twenty() -> None:
    assert outcomes(40, 1.25, 0.02, 6)[ComparisonOutcome.REGRESSION] >= 36
    assert outcomes(40, 1.25, 0.05, 20)[ComparisonOutcome.REGRESSION] >= 36


@pytest.mark.slow
@pytest.mark.sampled
def test_a_regression_of_exactly_the_margin_is_flagged_no_more_often_than_chance_allows() -> None:
    """The margin itself is the hypothesis: with Holm over all metrics at most 2.5 % of such sessions."""
    flagged = outcomes(150, math.exp(math.log1p(0.10)), 0.03, 8)[ComparisonOutcome.REGRESSION]
    assert flagged <= 10  # P(more than 10 of 150 at 2.5 %) = 0.2 %


def test_by_default_another_machine_is_not_accepted(tmp_path: Path) -> None:
    moved = _planned(environment={**RUN.plan.environment, "cores": 64})
    run, baseline = kept(moved, tmp_path / "now"), kept(BASELINE, tmp_path / "before")
    assert read_and_compare(run, baseline).outcome is ComparisonOutcome.NOT_COMPARABLE
    assert read_and_compare(run, baseline, allow_environment=True).outcome is ComparisonOutcome.EQUIVALENT


def test_the_runs_of_other_sessions_are_read_too(tmp_path: Path) -> None:
    paths = [kept(Session(seed=seed).side(), tmp_path / str(seed)) for seed in (1, 2, 3, 4)]
    comparison = read_and_compare(paths[1], paths[0], also=paths[2:3], also_baseline=paths[3:])
    assert metric(comparison, "p50").pairs == (12, 12)


def test_a_hash_is_shortened_and_another_long_text_is_not() -> None:
    for text, shown in (("ab" * 32, "ab" * 6 + "…"), ("x" * 65, "x" * 65)):
        comparison = compare(_planned(sha256=text), BASELINE)
        assert comparison.why == (f"the scenario's SHA-256 is {shown}, the baseline's is 555555555555…",)
