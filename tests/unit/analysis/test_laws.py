import numpy as np
import pytest

from harness.analysis.scaling.laws import Estimate, Fit, Law, Point, aicc, fit_laws, usl

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


def test_four_sizes_do_not_show_a_peak() -> None:
    fit = fit_laws(_points(100, 0.05, 0.01, sizes=(1, 2, 4, 8), noise=0.02))
    assert "usl" not in {law.name for law in fit.laws}
    assert fit.peak is None and "do not show" in fit.sentence


def test_two_sizes_are_too_few() -> None:
    assert fit_laws(_points(100, 0, 0, sizes=(1, 2))).chosen is None


def test_where_coherency_may_be_zero_the_peak_has_no_upper_end() -> None:
    law = Law("usl", Estimate(100, 90, 110), Estimate(0.05, 0.0, 0.1), Estimate(0.001, 0.0, 0.004), -20)
    peak = Fit((Point(1, 100, "slots"), Point(8, 700, "slots")), (law,)).peak
    assert peak is not None and peak[0] == pytest.approx((0.9 / 0.004) ** 0.5) and peak[1] is None


def test_points_that_the_driver_bound_are_left_out() -> None:
    points = [*_points(100, 0, 0), Point(64, 900, "driver", usable=False)]
    fit = fit_laws(points)
    assert len(fit.points) == len(SIZES) and fit.chosen is not None and fit.chosen.name == "linear"
    assert fit.reach == 64


def test_efficiency_is_against_the_smallest_size() -> None:
    fit = fit_laws([Point(1, 100, "x"), Point(2, 190, "x"), Point(4, 360, "x")])
    assert fit.efficiency(Point(4, 360, "x")) == pytest.approx(0.9)


def test_the_correction_of_few_points_grows_as_they_get_fewer() -> None:
    assert aicc(0.05, 5, 3) - 5 * np.log(0.01) > aicc(0.1, 10, 3) - 10 * np.log(0.01)


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
