import itertools
import math

import numpy as np
import pytest

from harness.analysis.scaling.laws import Estimate, Fit, Law, Point, fit_laws, usl
from harness.analysis.scaling.resampling import aicc

SIZES = (1, 2, 4, 8, 12, 16, 24, 32)


def _points(
    g: float, a: float, b: float, *, sizes: tuple[int, ...] = SIZES, noise: float = 0.0, seed: int = 1
) -> list[Point]:
    chance = np.random.default_rng(seed)
    return [Point(n, float(usl(n, g, a, b) * np.exp(chance.normal(0, noise))), "slots") for n in sizes]


def _law(fit: Fit, name: str) -> Law:
    return next(law for law in fit.laws if law.name == name)


def test_without_noise_the_parameters_come_back() -> None:
    law = _law(fit_laws(_points(100, 0.05, 0.002)), "usl")
    assert (law.g.value, law.a.value, law.b.value) == pytest.approx((100, 0.05, 0.002), rel=1e-3)


@pytest.mark.parametrize(("a", "b", "name"), [(0.0, 0.0, "linear"), (0.2, 0.0, "amdahl"), (0.05, 0.004, "usl")])
def test_the_law_that_made_the_points_is_chosen(a: float, b: float, name: str) -> None:
    chosen = [fit_laws(_points(100, a, b, noise=0.01, seed=seed)).chosen for seed in range(5)]
    assert sum(law is not None and law.name == name for law in chosen) >= 4


def test_four_sizes_do_not_choose_a_law_and_six_show_no_peak() -> None:
    few, some, enough = (fit_laws(_points(100, 0.05, 0.01, sizes=SIZES[:n], noise=0.01)) for n in (4, 6, 8))
    assert few.chosen is None and few.peak is None
    assert few.sentence == "4 usable sizes are too few to choose a law; 5 distinguish a line from Amdahl's law."
    assert some.chosen is not None and some.peak is None
    assert "6 sizes do not show whether throughput peaks, 7 might" in some.sentence
    assert enough.peak is not None and "throughput peaks between" in enough.sentence


def test_a_law_needs_two_sizes_more_than_its_parameters_and_the_noise() -> None:
    names = [
        [law.name for law in fit_laws(_points(100, 0.0, 0.0, sizes=SIZES[:n], noise=0.01)).laws] for n in (3, 4, 5, 6)
    ]
    assert names == [[], ["linear"], ["linear", "amdahl"], ["linear", "amdahl", "usl"]]
    twice = [*_points(100, 0.0, 0.0, sizes=(1, 2)), *_points(101, 0.0, 0.0, sizes=(1, 2))] * 2
    assert [law.name for law in fit_laws(twice).laws] == ["linear"]


def test_two_sizes_are_too_few() -> None:
    assert fit_laws(_points(100, 0, 0, sizes=(1, 2))).chosen is None


def test_where_coherency_may_be_zero_the_peak_has_no_upper_end() -> None:
    fit = fit_laws(_points(100, 0.05, 0.002, noise=0.07, seed=0))
    assert fit.chosen is not None and fit.chosen.name == "usl"
    assert fit.peak is not None and fit.peak[1] is None
    assert f"not below {fit.peak[0]:.0f} replicas; its upper end is unknown" in fit.sentence


def test_no_peak_is_reported_beyond_the_reach_of_a_prediction() -> None:
    sharp = fit_laws(_points(100, 0.05, 0.00005, sizes=(1, 2, 4, 8, 16, 24, 32), noise=0.00001))
    assert sharp.chosen is not None and sharp.chosen.name == "usl"
    assert sharp.peak is not None and sharp.peak[0] > sharp.reach and sharp.peak[1] is None


def test_the_interval_of_a_chosen_law_is_at_least_as_wide_as_that_of_the_law_alone() -> None:
    fit = fit_laws(_points(100, 0.05, 0.0, noise=0.03, seed=4))
    chosen = fit.chosen
    assert chosen is not None and chosen.name == "amdahl"
    for law in (_law(fit, "amdahl"), _law(fit, "usl")):
        for ours, theirs in ((chosen.g, law.g), (chosen.a, law.a), (chosen.b, law.b)):
            assert (ours.low or 0) <= (theirs.low or 0) and (ours.high or 9e9) >= (theirs.high or 0)
    assert chosen.b.value == 0 and (chosen.b.high or 0) > 0, "another law might have been chosen"


def test_an_interval_without_bounds_stays_without() -> None:
    assert Estimate(1, None, 2).widen(0, 3) == Estimate(1, None, 3)
    assert Estimate(1, 0.5, 2).widen(0.7, None) == Estimate(1, 0.5, None)


TRUTHS = ((0.05, 0.0), (0.05, 0.002), (0.02, 0.005), (0.1, 0.01), (0.0, 0.003))


def _reported_peaks(noises: tuple[float, ...], seeds: int) -> list[bool]:
    """For each peak that is reported, whether the true one lies in it, and no peak where there is none."""
    right = []
    for noise, (a, b) in itertools.product(noises, TRUTHS):
        truth = math.sqrt((1 - a) / b) if b else math.inf
        for seed in range(seeds):
            peak = fit_laws(_points(100, a, b, noise=noise, seed=seed)).peak
            if peak is not None:
                right.append(peak[0] <= truth <= (math.inf if peak[1] is None else peak[1]))
    return right


@pytest.mark.slow
@pytest.mark.sampled
def test_a_peak_that_is_reported_is_right() -> None:
    right = _reported_peaks((0.02, 0.05), seeds=6)
    assert len(right) > 30
    assert sum(right) >= 0.95 * len(right)


@pytest.mark.slow
@pytest.mark.long
def test_a_peak_is_reported_only_where_it_is_right_in_95_of_100_simulations() -> None:
    right = _reported_peaks((0.01, 0.03, 0.06, 0.1), seeds=12)
    assert len(right) > 80
    assert sum(right) >= 0.95 * len(right)


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.2, 0.0), (0.05, 0.002), (0.3, 0.001), (0.0, 0.003)])
def test_after_the_choice_among_laws_the_truth_still_lies_within_the_intervals(a: float, b: float) -> None:
    """Whichever law is chosen, and with as few sizes as it takes."""
    inside = 0
    for seed in range(20):
        law = fit_laws(_points(100, a, b, sizes=SIZES[:6], noise=0.05, seed=seed)).chosen
        assert law is not None
        inside += law.g.holds(100) and law.a.holds(a) and law.b.holds(b)
    assert inside >= 18


def test_the_same_points_always_give_the_same_intervals() -> None:
    first, second = (fit_laws(_points(100, 0.05, 0.004, noise=0.02)) for _ in range(2))
    assert first.chosen == second.chosen and first.peak == second.peak


def test_points_that_the_driver_bound_are_left_out() -> None:
    points = [*_points(100, 0, 0), Point(64, 900, "driver", usable=False)]
    fit = fit_laws(points)
    assert len(fit.points) == len(SIZES) and fit.chosen is not None and fit.chosen.name == "linear"
    assert fit.reach == 64


def test_efficiency_is_against_the_smallest_size() -> None:
    fit = fit_laws([Point(1, 100, "x"), Point(2, 190, "x"), Point(4, 360, "x")])
    assert fit.efficiency(Point(4, 360, "x")) == pytest.approx(0.9)


def test_the_criterion_counts_the_noise_as_a_parameter() -> None:
    """By hand: 8 points, two parameters and the variance, so k = 3."""
    assert float(aicc(0.08, 8, 2)) == pytest.approx(8 * math.log(0.01) + 6 + 24 / 4)
    with pytest.raises(ValueError, match="4 points are too few for 2 parameters and the noise"):
        aicc(0.08, 4, 2)


def test_the_correction_of_few_points_grows_as_they_get_fewer() -> None:
    assert aicc(0.06, 6, 3) - 6 * np.log(0.01) > aicc(0.1, 10, 3) - 10 * np.log(0.01)


@pytest.mark.slow
def test_in_200_trials_with_noise_of_5_percent_the_truth_lies_within_the_intervals() -> None:
    inside = 0
    for seed in range(200):
        law = _law(fit_laws(_points(100, 0.05, 0.002, noise=0.05, seed=seed)), "usl")
        inside += law.g.holds(100) and law.a.holds(0.05) and law.b.holds(0.002)
    assert inside >= 180


@pytest.mark.slow
def test_a_line_with_noise_shows_no_peak() -> None:
    peaks = [fit_laws(_points(100, 0.0, 0.0, noise=0.05, seed=seed)).peak for seed in range(60)]
    assert sum(peak is not None and peak[1] is not None for peak in peaks) <= 3
