"""Welch's interval, one-sided p values and Holm's correction, against scipy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.compare.ratios import ALPHA, Shift, adjust_p_values

NOW = (0.11, 0.09, 0.14, 0.10, 0.12, 0.08)
BEFORE = (0.01, -0.02, 0.03, 0.00, 0.02, -0.01, 0.015)
logs = st.lists(st.floats(-1, 1), min_size=6, max_size=12).map(tuple)
margins = st.floats(0.01, 0.5)


def test_the_interval_is_welchs() -> None:
    known = stats.ttest_ind(NOW, BEFORE, equal_var=False).confidence_interval(0.95)
    assert Shift((NOW,), (BEFORE,)).interval == pytest.approx((known.low, known.high))


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.0953, 0.2])
def test_the_p_value_is_welchs_for_the_hypothesis_at_the_margin(margin: float) -> None:
    moved = np.asarray(NOW) - margin
    known = stats.ttest_ind(moved, BEFORE, equal_var=False, alternative="greater").pvalue
    assert Shift((NOW,), (BEFORE,)).p_above(margin) == pytest.approx(known)


@given(logs, logs, margins)
def test_exchanging_the_two_sides_mirrors_every_figure(
    now: tuple[float, ...], before: tuple[float, ...], m: float
) -> None:
    shift, mirrored = Shift((now,), (before,)), Shift((before,), (now,))
    assert shift.mean == -mirrored.mean
    assert shift.interval == pytest.approx((-mirrored.interval[1], -mirrored.interval[0]))
    assert shift.p_above(m) == pytest.approx(mirrored.p_below(m))
    assert shift.recurs(m) == mirrored.recurs(m)


@given(logs, logs, margins)
def test_an_interval_beyond_the_margin_and_a_small_p_are_the_same(
    now: tuple[float, ...], before: tuple[float, ...], m: float
) -> None:
    shift = Shift((now,), (before,))
    low = shift.interval[0]
    if abs(low - m) > 1e-9:
        assert (low > m) == (shift.p_above(m) < 0.025)


def test_where_nothing_varies_the_interval_is_a_point_and_the_answer_certain() -> None:
    shift = Shift(((0.2,) * 6,), ((0.0,) * 6,))
    assert shift.interval == pytest.approx((0.2, 0.2), abs=1e-12)
    assert (shift.p_above(0.1), shift.p_below(0.1), shift.p_above(0.3)) == (0.0, 1.0, 1.0)


def test_one_pair_is_no_sample() -> None:
    with pytest.raises(ValueError, match="two pairs"):
        Shift(((0.1,),), (BEFORE,))


def test_what_happened_in_one_half_of_a_session_alone_does_not_recur() -> None:
    hiccup = Shift(((0.0, 0.0, 0.0, 0.9, 0.9, 0.9),), ((0.0,) * 6,))
    assert hiccup.mean > 0.4
    assert not hiccup.recurs(0.1)
    assert Shift(((0.4,) * 6,), ((0.0,) * 6,)).recurs(0.1)
    assert not Shift(((0.0,) * 6,), ((0.0, 0.0, 0.0, -0.9, -0.9, -0.9),)).recurs(0.1)


def test_holm_by_hand() -> None:
    assert adjust_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert adjust_p_values([0.5, 0.9]) == adjust_p_values([0.9, 0.9]) == (1.0, 1.0)
    assert adjust_p_values([]) == ()


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values: list[float]) -> None:
    adjusted = adjust_p_values(values)
    assert all(math.isclose(a, p) or a > p for a, p in zip(adjusted, values, strict=True))
    assert [adjusted[i] for i in np.argsort(values, kind="stable")] == sorted(adjusted)


def test_with_several_sessions_each_of_them_must_move() -> None:
    calm, moved = (0.0, 0.01), (0.4, 0.41)
    assert Shift((moved, moved), (calm, calm)).recurs(0.1)
    assert not Shift((moved, calm), (calm, calm)).recurs(0.1)
    assert not Shift((moved, moved), (calm, moved)).recurs(0.1)


def test_a_bias_of_whole_sessions_is_seldom_called_a_shift_where_there_are_two_sessions() -> None:
    """5 % in each session, of which its repeats know nothing: docs/compare.md has these figures."""
    rng = np.random.default_rng(7)
    margin = math.log1p(0.1)

    def flagged(sessions: int) -> float:
        def side() -> tuple[tuple[float, ...], ...]:
            return tuple(tuple((rng.normal(0, 0.05) + rng.normal(0, 0.01, 6)).tolist()) for _ in range(sessions))

        shifts = [Shift(side(), side()) for _ in range(1500)]
        return sum(shift.p_above(margin) < ALPHA and shift.recurs(margin) for shift in shifts) / len(shifts)

    assert 0.04 < flagged(1) < 0.10
    assert flagged(2) < 0.01


def test_the_halves_of_a_single_session_are_its_first_and_its_last_pairs() -> None:
    assert Shift(((0.0, 0.0, 0.9, 0.9, 0.9, 0.9),), ((0.0,) * 6,)).recurs(0.1)
    assert not Shift(((0.9, 0.9, 0.9, 0.0, 0.0, 0.0),), ((0.0,) * 6,)).recurs(0.1)


def test_a_shift_of_two_pairs_is_one() -> None:
    moved = Shift(((0.1, 0.2),), ((0.0,), (0.1,)))
    known = stats.ttest_ind((0.1, 0.2), (0.0, 0.1), equal_var=False).confidence_interval(0.95)
    assert moved.mean == pytest.approx(0.1)
    assert moved.interval == pytest.approx((known.low, known.high))
    with pytest.raises(ValueError, match="two pairs"):
        Shift(((0.1, 0.2),), ((0.1,),))


@pytest.mark.parametrize(("now", "margin", "recurs"), [(0.5, 0.25, True), (0.5, 0.5, False), (0.5, 0.75, False)])
def test_what_recurs_moves_beyond_the_margin_and_not_only_up_to_it(now: float, margin: float, recurs: bool) -> None:
    assert Shift(((now,) * 4,), ((0.0,) * 4,)).recurs(margin) is recurs
    assert Shift(((-now,) * 4,), ((0.0,) * 4,)).recurs(margin) is recurs


def test_the_middle_pair_of_an_odd_session_is_in_its_second_half() -> None:
    assert Shift(((0.4, 0.4, -0.2, 0.4, 0.4),), ((0.0,) * 4,)).recurs(0.15)
    assert not Shift(((0.4, 0.4, -0.2, 0.4, 0.4),), ((0.0,) * 4,)).recurs(0.25)
    assert Shift(((0.4, 0.4, -0.2, 0.4, 0.4),), ((0.0,) * 4,)).recurs(0.19)


def test_either_half_may_be_the_one_in_which_it_does_not_recur() -> None:
    for halves in ((0.9, 0.9, 0.0, 0.0), (0.0, 0.0, 0.9, 0.9)):
        assert not Shift((halves,), ((0.0,) * 4,)).recurs(0.1)
        assert not Shift(((0.9,) * 4,), (tuple(0.9 - half for half in halves),)).recurs(0.1)


def test_where_nothing_varies_only_what_lies_beyond_the_margin_is_certain() -> None:
    exactly = Shift(((0.25,) * 3,), ((0.0,) * 3,))
    assert (exactly.p_above(0.25), exactly.p_above(0.125)) == (1.0, 0.0)
    assert Shift(((0.0,) * 3,), ((0.25,) * 3,)).p_below(0.125) == 0.0
    varied = Shift(((0.25, 0.25 + 1e-7, 0.25),), ((0.0,) * 3,))
    assert varied.interval[0] < varied.mean < varied.interval[1], "however little it varies"


def test_alpha_is_what_an_interval_of_95_per_cent_leaves_on_one_side() -> None:
    assert pytest.approx(0.025) == ALPHA
