"""Counts compared as counts: what is certain of them, and how often chance alone is called a change."""

import numpy as np
import pytest
from scipy import stats

from harness.analysis.compare.counts import Counted, CountShift
from harness.analysis.compare.ratios import ALPHA

MARGIN = 0.1


def repeats(*counts: int, of: int = 200) -> tuple[Counted, ...]:
    return tuple(Counted(count, of) for count in counts)


def shift(now: tuple[int, ...], before: tuple[int, ...], of: int = 200) -> CountShift:
    return CountShift(repeats(*now, of=of), repeats(*before, of=of))


def test_a_share_is_the_count_per_thing_and_0_of_none() -> None:
    assert Counted(50, 200).share == 0.25
    assert Counted(0, 0).share == 0.0


def test_one_repeat_is_judged_by_the_exact_test_of_two_rates() -> None:
    """Given 20 in all, of two equal exposures, the later count is binomial with the margin in its odds."""
    known = stats.binomtest(16, 20, (1 + MARGIN) / (2 + MARGIN), alternative="greater").pvalue
    assert shift((16,), (4,)).p_above(MARGIN) == pytest.approx(known)
    assert shift((4,), (16,)).p_below(MARGIN) == pytest.approx(known)


def test_more_exposure_explains_more_of_a_count() -> None:
    twice = CountShift(repeats(200, of=400), repeats(100, of=200))
    assert twice.p_above(0.0) == pytest.approx(0.5, abs=0.05)
    assert twice.is_within(0.5)


def test_one_and_a_thousand_are_never_the_same() -> None:
    for now, before in (((1000,), (1,)), ((166,) * 6, (1, 0, 0, 0, 0, 0))):
        moved = shift(now, before)
        assert moved.p_above(MARGIN) < ALPHA
        assert not moved.is_within(MARGIN)
        assert shift(before, now).p_below(MARGIN) < ALPHA


def test_what_happened_in_a_single_repeat_is_not_certain_to_come_again() -> None:
    moved = shift((190, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0))
    assert moved.p_above(MARGIN) > ALPHA
    assert not moved.is_within(MARGIN)


def test_a_fault_that_takes_the_same_share_each_time_is_equivalent_with_few_sessions() -> None:
    assert shift((54, 54, 53, 54, 54, 55), (54,) * 6, of=160).is_within(MARGIN)
    assert not shift((54,), (54,), of=160).is_within(MARGIN)


def test_a_rare_thing_that_stays_rare_is_equivalent_whatever_its_ratio() -> None:
    assert shift((2,), (1,), of=1200).is_within(MARGIN)
    assert not shift((20,), (1,), of=1200).is_within(MARGIN)


def test_a_share_that_moved_by_about_the_margin_is_neither_beyond_it_nor_within() -> None:
    moved = shift((111,) * 6, (100,) * 6)
    assert moved.p_above(MARGIN) > ALPHA
    assert not moved.is_within(MARGIN)
    assert shift((109, 108, 109, 108, 109, 108), (100,) * 6, of=1000).is_within(MARGIN)


def test_the_interval_of_several_repeats_is_welchs() -> None:
    now, before = (12, 14, 11, 15), (9, 10, 12)
    known = stats.ttest_ind([n / 200 for n in now], [n / 200 for n in before], equal_var=False).confidence_interval()
    assert shift(now, before).interval == pytest.approx((known.low, known.high))


def test_the_interval_of_single_repeats_is_newcombes() -> None:
    """The example of his table II (a): 56 of 70 and 48 of 80."""
    moved = CountShift((Counted(56, 70),), (Counted(48, 80),))
    assert moved.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_nothing_was_counted_on_a_side_that_did_not_run() -> None:
    absent = CountShift((), repeats(3, 4))
    assert absent.p_above(MARGIN) == 1.0
    assert absent.interval[0] < 0 < absent.interval[1]
    assert CountShift((), ()).p_below(MARGIN) == 1.0


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_chance_alone_is_called_a_growth_no_more_often_than_it_may(spread: float) -> None:
    """Also where whole repeats fare better or worse than others, as where sessions share a fate."""
    rng = np.random.default_rng(12)
    flagged = 0
    for _ in range(400):
        shares = 0.2 * np.exp(rng.normal(0, spread, 12))
        counts = rng.binomial(160, np.minimum(shares, 1.0)).tolist()
        flagged += shift(tuple(counts[:6]), tuple(counts[6:]), of=160).p_above(0.0) < ALPHA
    assert flagged <= 20  # of 10 expected at most


def test_the_interval_of_shares_far_apart_is_newcombes_too() -> None:
    """His table II (b): 9 of 10 and 3 of 10."""
    assert CountShift((Counted(9, 10),), (Counted(3, 10),)).interval == pytest.approx((0.1705, 0.8090), abs=1e-4)


def test_a_difference_of_shares_is_never_more_than_the_whole() -> None:
    low, high = CountShift((), repeats(3, 4)).interval
    assert -1 <= low < high <= 1


@pytest.mark.parametrize(
    ("before", "now", "within"),
    [
        (500, 549, True),
        (500, 551, False),
        (500, 455, True),
        (500, 454, False),
        (20, 29, True),  # a rare thing may move by one in a hundred
        (20, 31, False),
        (20, 11, True),
        (20, 9, False),
    ],
)
def test_where_no_repeat_differs_the_share_itself_decides(before: int, now: int, within: bool) -> None:
    steady = shift((now, now), (before, before), of=1000)
    assert steady.is_within(MARGIN) is within
    moved = (now - before) / 1000
    assert steady.interval == pytest.approx((moved, moved))


def test_repeats_that_do_not_differ_leave_the_exact_test_alone() -> None:
    grown = shift((60, 60), (50, 50))
    exact = stats.binomtest(120, 220, 1.1 / 2.1, alternative="greater").pvalue
    assert grown.p_above(MARGIN) == pytest.approx(exact)
    assert shift((55, 55), (50, 50)).p_above(MARGIN) == 1.0, "it grew by the margin and no more"
    assert shift((50, 50), (60, 60)).p_above(MARGIN) == 1.0


def test_of_several_repeats_the_more_cautious_of_both_tests_counts() -> None:
    now, before = (70, 74, 66, 71), (50, 47, 53)
    exact = stats.binomtest(
        sum(now), sum(now) + sum(before), 1.1 * 800 / (1.1 * 800 + 600), alternative="greater"
    ).pvalue
    shares = [n / 200 for n in now], [1.1 * n / 200 for n in before]
    spread = stats.ttest_ind(*shares, equal_var=False, alternative="greater").pvalue
    assert spread != pytest.approx(exact)
    assert shift(now, before).p_above(MARGIN) == pytest.approx(max(exact, spread))
    wild, before = (10, 130, 5, 135), (30, 31, 29)
    shares = [n / 200 for n in wild], [1.1 * n / 200 for n in before]
    spread = stats.ttest_ind(*shares, equal_var=False, alternative="greater").pvalue
    assert shift(wild, before).p_above(MARGIN) == pytest.approx(spread)


def test_a_single_repeat_on_either_side_shows_no_spread() -> None:
    one, several = (100,), (50, 60, 40)
    exact = stats.binomtest(100, 250, 1.1 * 200 / (1.1 * 200 + 600), alternative="greater").pvalue
    assert shift(one, several).p_above(MARGIN) == pytest.approx(exact)
    together = CountShift(repeats(150, of=600), repeats(100))
    assert shift(several, one).interval == pytest.approx(together.interval)


def test_a_count_above_its_whole_is_a_share_of_one() -> None:
    assert (
        CountShift((Counted(90, 70),), (Counted(48, 80),)).interval
        == CountShift((Counted(70, 70),), (Counted(48, 80),)).interval
    )
    low, high = CountShift((Counted(48, 80),), (Counted(90, 70),)).interval
    assert -1 < low < high < 0


def test_of_nothing_any_share_is_possible() -> None:
    low, high = CountShift((Counted(0, 0),), (Counted(0, 1000),)).interval
    assert (low, high) == pytest.approx((-0.00383, 1.0), abs=1e-4)


def test_in_a_single_repeat_the_sessions_count_and_not_their_writes() -> None:
    """67 of 200 sessions are lost with all that they wrote before; how much the others write later is the machine's."""
    now, before = Counted(1195, 7836, groups=200), Counted(1268, 10948, groups=200)
    moved = CountShift((now,), (before,))
    assert moved.p_above(MARGIN) > 0.05 and not moved.is_within(MARGIN)
    assert moved.interval == pytest.approx(CountShift((Counted(31, 200),), (Counted(23, 200),)).interval)
    assert CountShift((Counted(3000, 9000, groups=200),), (before,)).p_above(MARGIN) < ALPHA, "far more is certain"


def test_more_groups_than_things_say_nothing() -> None:
    assert Counted(3, 40, groups=200).independent.of == 40


def test_several_repeats_show_the_chance_of_whole_sessions_themselves() -> None:
    grouped = CountShift(*(tuple(Counted(n, 9000, groups=200) for n in side) for side in ((1195, 1200), (1000, 1002))))
    assert grouped.p_above(MARGIN) == shift((1195, 1200), (1000, 1002), of=9000).p_above(MARGIN)
