from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.observations.requests import SWEEP, Anomaly, Outcome
from harness.report.charts.measured import Measured, measured, windows
from tests.support import charts as fakes

ARM = fakes.observations(fakes.Fake("one"), "control")


def arm_of(table: pd.DataFrame, warmup: float = 0.0, duration: float = 2.0) -> Measured:
    return measured(replace(ARM, requests=table, warmup=warmup, duration=duration))


def test_rates_count_replies_in_the_window_in_which_they_end() -> None:
    folded = windows(arm_of(fakes.table([0, 100, 240, 600], [10, 10, 20, 10])))
    assert folded.start.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert folded.answered.tolist() == [8.0, 4.0, 4.0, 0, 0, 0, 0, 0]


def test_a_stall_shows_where_the_request_should_have_started() -> None:
    folded = windows(arm_of(fakes.table([0, 300], [10, 1200])))
    assert folded.p99_ms[1] == pytest.approx(1200, rel=0.01)
    assert np.isnan(folded.p99_ms[5])


def test_an_anomalous_reply_is_answered_but_not_correct() -> None:
    folded = windows(
        arm_of(fakes.table([0, 1, 2, 3], 5, anomaly=[Anomaly.NONE, Anomaly.LOST, Anomaly.STALE, Anomaly.NONE]))
    )
    assert (folded.answered[0], folded.correct[0], folded.anomalies[0], folded.errors[0]) == (16.0, 8.0, 2, 0)


def test_failed_and_in_doubt_are_errors() -> None:
    folded = windows(arm_of(fakes.table([0, 1, 2], 5, outcome=[Outcome.OK, Outcome.FAILED, Outcome.IN_DOUBT])))
    assert (folded.correct[0], folded.errors[0]) == (4.0, 2)


def test_the_warm_up_and_the_final_sweep_are_left_out() -> None:
    load, sweep = fakes.table([100, 1100, 1200], 5), fakes.table([1500], 5, phase=SWEEP)
    both = pd.concat([load, sweep])
    for column in ("outcome", "anomaly", "replica"):
        both[column] = both[column].astype("category")
    arm = arm_of(both, warmup=1.0)
    assert arm.latency_ns.size == 2
    assert windows(arm).start[0] == 1.0
    assert windows(arm).answered.sum() == 8.0


def test_a_reply_to_the_warm_up_counts_in_the_rate_of_the_window_in_which_it_came() -> None:
    arm = arm_of(fakes.table([900], [200]), warmup=1.0)
    assert windows(arm).answered[0] == 4.0
    assert np.isnan(windows(arm).p99_ms).all()


def test_windows_that_the_warm_up_or_the_end_cuts_are_left_out() -> None:
    folded = windows(arm_of(fakes.table([0], [5]), warmup=0.6, duration=1.9))
    assert folded.start.tolist() == [0.75, 1.0, 1.25, 1.5]


def test_a_reply_after_the_end_is_in_no_window_but_in_the_latencies() -> None:
    arm = arm_of(fakes.table([1900], [500]))
    assert windows(arm).answered.sum() == 0
    assert arm.latency_ns.tolist() == [500_000_000]


def test_a_request_that_never_ended_has_no_latency() -> None:
    table = fakes.table([0, 10], 5)
    table["t_end"] = [-1, 15_000_000]
    assert arm_of(table).latency_ns.tolist() == [5_000_000]


def test_a_missing_anomaly_is_none() -> None:
    table = fakes.table([0, 1], 5)
    table["anomaly"] = pd.Categorical(["lost", None])
    assert arm_of(table).anomalous.tolist() == [True, False]


@pytest.mark.parametrize("duration", [2.0, 20.0, 3600.0])
def test_windows_stay_short_enough_for_a_failover_of_two_seconds(duration: float) -> None:
    assert windows(arm_of(fakes.table([0], 5), duration=duration)).width == 0.25


def test_a_stretch_has_the_windows_inside_it_alone() -> None:
    folded = windows(arm_of(fakes.table([100, 900, 1400], 5)), stretch=(0.5, 1.3))
    assert folded.start.tolist() == [0.5, 0.75, 1.0]
    assert folded.answered.tolist() == [0, 4.0, 0]


def test_a_stretch_never_reaches_into_the_warm_up_or_beyond_the_end() -> None:
    folded = windows(arm_of(fakes.table([100], 5), warmup=1.0), stretch=(-3.0, 9.0))
    assert (folded.start[0], folded.start[-1]) == (1.0, 1.75)


def test_the_99th_percentile_of_a_window_is_right_to_a_hundredth() -> None:
    latency = np.random.default_rng(1).lognormal(1, 1, 5000)
    folded = windows(arm_of(fakes.table(np.linspace(0, 200, 5000), latency)))
    assert folded.p99_ms[0] == pytest.approx(np.quantile(latency, 0.99, method="inverted_cdf"), rel=0.011)


def test_nothing_measured_folds_to_empty_windows() -> None:
    folded = windows(measured(fakes.empty(ARM)))
    assert folded.answered.sum() == 0
    assert np.isnan(folded.p99_ms).all()
