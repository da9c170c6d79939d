"""Recovery and detection, on simulated services: Poisson arrivals, and one background error in 300 requests."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.analysis.metrics.faults import compute_fault_figures
from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.recovery import Replies, time_recoveries
from harness.analysis.metrics.shortfall import UsualShare, find_last_shortfall
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import Floats, LoadRequests
from harness.observations.requests import DROPPED, NO_SESSION
from tests.support.clocks_and_topology import RequestRow, kill_at, observed

LENGTH, FAULT, SECOND = 20.0, 7.0, 11.0
BACKGROUND = 1 / 300
RUNS = 100
#: The chance that a request is answered well, by the seconds from the start.
Share = Callable[[Floats], Floats]


def _outage(begin: float, end: float, share: float = 0.0) -> Share:
    return lambda t: np.where((t >= begin) & (t < end), share, 1.0)


def _ramp(begin: float, end: float) -> Share:
    return lambda t: np.where(t < begin, 1.0, np.clip((t - begin) / (end - begin), 0.0, 1.0))


def _replies(rate: float, share: Share, seed: int) -> Replies:
    chance = np.random.default_rng(seed)
    intended = np.sort(chance.uniform(0, LENGTH, chance.poisson(rate * LENGTH)))
    waited = chance.exponential(0.01, len(intended))
    correct = chance.random(len(intended)) < share(intended) * (1 - BACKGROUND)
    order = np.argsort(intended + waited)
    return Replies((intended + waited)[order], waited[order], correct[order])


def _faults(*times: float) -> list[FaultRecord]:
    return [FaultRecord(n, "kill", "r1", t, t) for n, t in enumerate(times, 1)]


def _recoveries(replies: Replies, *faults: float) -> list[float | None]:
    return [recovery.seconds for recovery in time_recoveries(replies, _faults(*faults), 0.0, LENGTH)]


def _near(got: Sequence[float | None], *wanted: tuple[float, float] | None) -> bool:
    return all(
        value is None if bounds is None else value is not None and bounds[0] <= value <= bounds[1]
        for value, bounds in zip(got, wanted, strict=True)
    )


CASES: dict[str, tuple[Share, tuple[float, ...], tuple[tuple[float, float] | None, ...]]] = {
    "none": (_outage(0, 0), (FAULT,), ((0.0, 0.0),)),
    "at once": (_outage(FAULT, FAULT + 1), (FAULT,), ((0.8, 1.5),)),
    "late": (_outage(FAULT + 1.3, FAULT + 4.3), (FAULT,), ((4.1, 4.8),)),
    "never": (_outage(FAULT + 1.3, LENGTH), (FAULT,), (None,)),
    "80 % for ever": (_outage(FAULT, LENGTH, 0.8), (FAULT,), (None,)),
    "80 % for a while": (_outage(FAULT, FAULT + 5, 0.8), (FAULT,), ((4.3, 5.7),)),
    "ramp": (_ramp(FAULT, FAULT + 5), (FAULT,), ((3.7, 5.5),)),
    "second": (
        lambda t: _outage(FAULT, FAULT + 1.5)(t) * _outage(SECOND, SECOND + 2)(t),
        (FAULT, SECOND),
        ((1.3, 2.0), (1.8, 2.5)),
    ),
    "second within the first": (_outage(FAULT, SECOND + 2), (FAULT, SECOND), ((5.8, 6.5), (1.8, 2.5))),
    "second, never": (
        lambda t: _outage(FAULT, FAULT + 1.5)(t) * _outage(SECOND, LENGTH, 0.8)(t),
        (FAULT, SECOND),
        ((1.3, 2.0), None),
    ),
}


@pytest.mark.parametrize("rate", [50, 100, 200])
@pytest.mark.parametrize("name", CASES)
def test_recovery_is_right_in_99_of_100_runs(name: str, rate: float) -> None:
    share, faults, wanted = CASES[name]
    got = [_recoveries(_replies(rate, share, seed), *faults) for seed in range(RUNS)]
    wrong = [recoveries for recoveries in got if not _near(recoveries, *wanted)]
    assert len(wrong) <= RUNS // 100, wrong


def _frame(replies: Replies) -> pd.DataFrame:
    """The requests of a round robin over three replicas, of which r1 dies; those that fail have no replica."""
    count = len(replies.end)
    chance = np.random.default_rng(count)
    numbers = np.where(replies.end < FAULT, np.arange(count) % 3, 2 * (np.arange(count) % 2))
    boot = pd.Series([f"b{number}" for number in numbers]).where(replies.correct)
    end = (replies.end * 1e9).astype(np.int64)
    started = end - (replies.waited * 1e9).astype(np.int64)
    return pd.DataFrame(
        {
            "session": chance.integers(0, 100, count),
            "op": 0,
            "name": pd.Categorical(["GET /"] * count),
            "status": np.where(replies.correct, 200, 0),
            "outcome": pd.Categorical(np.where(replies.correct, "ok", "in_doubt")),
            "anomaly": pd.Categorical(["none"] * count),
            "replica": pd.Categorical(boot.str.replace("b", "r")),
            "boot": pd.Categorical(boot),
            "phase": 0,
            "t_intended": started,
            "t_sent": started,
            "t_end": end,
        }
    )


def _detect_s(replies: Replies) -> float | None:
    arm = replace(observed([RequestRow(1, 0)], kill_at(FAULT), duration=LENGTH), requests=_frame(replies))
    return compute_fault_figures(arm, LoadRequests.select(arm.requests), 0.0, LENGTH)[0].detect_s


@pytest.mark.slow
@pytest.mark.sampled
@pytest.mark.parametrize("rate", [50, 100, 200])
@pytest.mark.parametrize("share", [0.0, 2 / 3])
def test_late_background_errors_are_not_the_victims(rate: float, share: float) -> None:
    got = [_detect_s(_replies(rate, _outage(FAULT, FAULT + 1, share), seed)) for seed in range(RUNS // 3)]
    assert sum(value is None or not 0.6 <= value <= 1.6 for value in got) <= 1, got


def test_without_a_burst_of_errors_the_background_is_not_the_victims() -> None:
    got = [_detect_s(_replies(100, _outage(0, 0), seed)) for seed in range(RUNS // 3)]
    assert sum(value is None or value > 0.1 for value in got) <= 1, got


def test_a_session_of_the_victim_shows_its_errors_however_few() -> None:
    rows = [
        *(RequestRow(1, 0.1 * n, replica="r0", boot="b0") for n in range(100)),
        RequestRow(2, 3.0, replica="r1", boot="b1"),
        RequestRow(2, 5.0, outcome="failed", replica=None, boot=None),
        RequestRow(3, 3.0, replica="r0", boot="b0"),
        RequestRow(3, 6.0, outcome="failed", replica=None, boot=None),
    ]
    assert fold(observed(rows, kill_at(4.0, took=0.5))).faults[0].detect_s == pytest.approx(0.51)


def test_errors_of_the_victims_sessions_after_its_return_are_not_its_doing() -> None:
    rows = [
        *(RequestRow(1, 0.1 * n, replica="r0", boot="b0") for n in range(100)),
        RequestRow(2, 3.0, replica="r1", boot="b1"),
        RequestRow(2, 7.0, outcome="failed", replica=None, boot=None),
    ]
    assert fold(observed(rows, kill_at(4.0, healed=6.0))).faults[0].detect_s == 0.0


def test_a_request_on_its_way_to_the_victim_is_its_error() -> None:
    rows = [
        *(RequestRow(1, 0.1 * n, replica="r0", boot="b0") for n in range(100)),
        RequestRow(2, 3.95, outcome="in_doubt", replica=None, boot=None, took=0.25),
    ]
    assert fold(observed(rows, kill_at(4.0))).faults[0].detect_s == pytest.approx(0.2)


def _every(gap: float, begin: float, end: float, **more: float) -> list[RequestRow]:
    return [RequestRow(1, begin + gap * n, **more) for n in range(round((end - begin) / gap))]  # type: ignore[arg-type]


def test_a_hang_whose_requests_are_all_answered_in_the_end_is_an_outage() -> None:
    hung = [
        RequestRow(1, 4.0 + 0.02 * n, took=3.0 - 0.02 * n) for n in range(100)
    ]  # until 7 s, latency from 3 s to 1 s
    rows = [*_every(0.02, 0, 4), *hung, *_every(0.02, 7, 10)]
    assert fold(observed(rows, kill_at(4.0))).faults[0].recover_s == pytest.approx(3.0, abs=0.02)


def test_a_service_that_stays_slower_but_correct_has_recovered() -> None:
    rows = [*_every(0.02, 0, 4), *_every(0.02, 4, 10, took=0.2)]
    assert fold(observed(rows, kill_at(4.0))).faults[0].recover_s == 0.0


def test_a_slow_service_is_compared_with_itself() -> None:
    rows = [*_every(0.02, -1, 4, took=2.0), *_every(0.02, 4, 10, took=2.0)]
    assert fold(observed(rows, kill_at(4.0))).faults[0].recover_s == 0.0


def test_silence_is_no_recovery() -> None:
    rows = [*_every(0.02, 0, 4), *_every(0.02, 6, 10)]
    fault = fold(observed(rows, kill_at(4.0))).faults[0]
    assert fault.recover_s == pytest.approx(2.01, abs=0.01)
    assert fold(observed(_every(0.02, 0, 5), kill_at(4.0))).faults[0].recover_s is None


def test_dropped_arrivals_are_offered_and_not_served() -> None:
    dropped = [RequestRow(NO_SESSION, t, outcome="failed", phase=DROPPED, took=0.0) for t in np.arange(5, 10, 0.02)]
    rows = [*_every(0.02, 0, 10), *dropped]
    assert fold(observed(rows, kill_at(4.0))).faults[0].recover_s is None


def test_it_must_be_good_for_a_second_before_the_end() -> None:
    bad = [RequestRow(1, 4.0 + 0.02 * n, outcome="failed") for n in range(245)]  # until 8.89 s
    last = fold(observed([*_every(0.02, 0, 4), *bad, *_every(0.02, 8.9, 10)], kill_at(4.0))).faults[0]
    assert last.recover_s == pytest.approx(4.9, abs=0.02)
    soon = fold(observed([*_every(0.02, 0, 4), *bad, *_every(0.02, 8.9, 9.8)], kill_at(4.0), duration=9.8)).faults[0]
    assert soon.recover_s is None


def test_a_fault_without_any_request_before_it_is_compared_with_what_is_offered() -> None:
    rows = [RequestRow(1, 0.02 * n, outcome="failed") for n in range(100)]
    assert fold(observed([*rows, *_every(0.02, 2, 10)], kill_at(0.0))).faults[0].recover_s == pytest.approx(2, abs=0.05)


def test_a_shortfall_is_more_than_chance_and_more_than_five_per_cent() -> None:
    usual = UsualShare(0, 1000)

    def last(pattern: str) -> int | None:
        return find_last_shortfall(np.array([mark == "." for mark in pattern]), usual)

    assert last("." * 50) is None and last("") is None
    assert last("." * 50 + "xx" + "." * 50) is None
    assert last("." * 50 + "xxx" + "." * 50) == 52
    assert last("xxx" + "." * 50 + "xxx" + "." * 500) == 55
    assert last("xxx" + "." * 50 + "x" + "." * 50) == 2
    assert last(("x" + "." * 24) * 40) is None, "96 % is enough"
    assert last(("x" + "." * 9) * 40) == 390


def test_what_is_usual_is_cautious_where_little_was_seen() -> None:
    assert UsualShare(0, 0).good == 0.95
    assert UsualShare(9, 980).good == 0.99
    assert UsualShare.count(np.array([True, False, False])) == UsualShare(2, 3)
    tolerances = [UsualShare(bad, 1000).tolerance for bad in (0, 10, 100)]
    assert tolerances == sorted(tolerances) and 2.0 < tolerances[0] < 2.85
