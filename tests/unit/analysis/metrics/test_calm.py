"""What counts as usual before a fault, and when a recovery ends, down to its bounds."""

import math

import numpy as np
import pytest

from harness.analysis.metrics.recovery import FaultRecovery, Replies, time_recoveries
from harness.analysis.metrics.shortfall import CHANCE, ENOUGH, UsualShare, find_last_shortfall
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import Floats, LoadRequests
from harness.observations.requests import DROPPED, NO_SESSION
from tests.support.clocks_and_topology import RequestRow, requests


def _served(*ends: Floats, waited: float = 0.01, bad: Floats | None = None) -> Replies:
    """Correct replies that ended at these times, and bad ones."""
    good, wrong = np.concatenate(ends), np.empty(0) if bad is None else bad
    end = np.concatenate([good, wrong])
    order = np.argsort(end, kind="stable")
    correct = np.concatenate([np.ones(len(good), bool), np.zeros(len(wrong), bool)])
    return Replies(end[order], np.full(len(end), waited), correct[order])


def _every(gap: float, begin: float, end: float) -> Floats:
    return np.asarray(begin + gap * np.arange(round((end - begin) / gap)), dtype=np.float64)


def _fault(effective: float | None = 4.0, commanded: float = 4.0, healed: float | None = None) -> FaultRecord:
    return FaultRecord(1, "kill", "r1", commanded, effective, healed)


def _recoveries(replies: Replies, *faults: FaultRecord, start: float = 0.0, end: float = 10.0) -> list[FaultRecovery]:
    return list(time_recoveries(replies, faults, start, end))


def _recover_s(replies: Replies, fault: FaultRecord | None = None, end: float = 10.0) -> float | None:
    (recovery,) = _recoveries(replies, fault or _fault(), end=end)
    return recovery.seconds


def test_replies_are_those_intended_in_the_measured_time_by_their_end() -> None:
    rows = [
        RequestRow(1, 1.9, took=3.0),
        RequestRow(1, 2.0, took=3.0, intended=2.0),
        RequestRow(1, 3.0, took=0.5, intended=2.5, anomaly="stale"),
        RequestRow(1, 9.5, took=4.0),
        RequestRow(1, 10.0),
        *(
            RequestRow(NO_SESSION, given_up, "failed", None, None, took=0.0, intended=intended, phase=DROPPED)
            for intended, given_up in ((1.0, 4.0), (2.0, 4.0), (9.0, 11.0), (10.0, 10.0))
        ),
    ]
    replies = Replies.of(LoadRequests.select(requests(rows)), 2.0, 10.0)
    last = np.nextafter(10.0, 0.0)
    assert replies.end.tolist() == [3.5, 4.0, 5.0, last, last], "what ends later still belongs to the measured time"
    assert replies.waited.tolist() == pytest.approx([1.0, 2.0, 3.0, 2.0, 4.0])
    assert replies.correct.tolist() == [False, False, True, False, True]


def test_replies_of_a_span_end_from_its_begin_until_before_its_end() -> None:
    replies = _served(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert replies.select([(2.0, 3.0), (4.0, 4.5)]).tolist() == [False, True, False, True, False]
    assert not replies.select([]).any()


def test_the_calm_spans_lie_between_the_faults() -> None:
    replies = _served(_every(0.02, 0, 12))
    faults = [_fault(4.0, 3.5), _fault(6.0, 6.0, healed=7.0), _fault(None, 9.0), _fault(11.0, 10.0)]
    calm = [recovery.calm for recovery in _recoveries(replies, *faults, start=1.0, end=12.0)]
    assert calm == [
        ((1.0, 3.5),),
        ((1.0, 3.5), (4.0, 6.0)),
        ((1.0, 3.5), (4.0, 6.0), (7.0, 9.0)),
        ((1.0, 3.5), (4.0, 6.0), (7.0, 9.0)),
    ], "after a fault without any effect that was seen, nothing is calm"


def test_a_time_that_a_fault_was_felt_in_is_not_calm() -> None:
    replies = _served(_every(0.02, 0, 4), _every(0.02, 6, 12))
    faults = [_fault(4.0), _fault(8.0, 8.0), _fault(10.0, 10.0)]
    recoveries = _recoveries(replies, *faults, end=12.0)
    assert recoveries[0].seconds == pytest.approx(2.0)
    assert np.ravel(recoveries[1].calm) == pytest.approx([0.0, 4.0, 6.0, 8.0])
    assert recoveries[2].calm[2:] == ((8.0, 10.0),)
    never = _recoveries(_served(_every(0.02, 0, 4)), *faults[:2], end=12.0)
    assert never[1].calm == ((0.0, 4.0),)


def test_two_faults_may_be_recovered_from_together() -> None:
    replies = _served(_every(0.02, 0, 4), _every(0.02, 8, 12))
    first, second = _recoveries(replies, _fault(4.0), _fault(6.0, 6.0), end=12.0)
    assert (first.seconds, second.seconds) == pytest.approx((4.0, 2.0))


def test_a_fault_without_an_effect_has_no_recovery() -> None:
    assert _recover_s(_served(_every(0.02, 0, 10)), _fault(None)) is None


@pytest.mark.parametrize(("end", "recover_s"), [(7.5, 2.0), (7.0, 2.0), (6.875, None)])
def test_service_must_be_good_for_a_second_after_it(end: float, recover_s: float | None) -> None:
    replies = _served(_every(1 / 64, 0, 4), _every(1 / 64, 6, 8), bad=_every(1 / 64, 4, 6))
    assert _recover_s(replies, end=end) == recover_s


def test_service_that_was_never_bad_needs_no_second_after_it() -> None:
    assert _recover_s(_served(_every(0.02, 0, 10)), _fault(9.9, 9.9)) == 0.0


@pytest.mark.parametrize(
    ("usual", "late", "recover_s"),
    [
        (0.01, 1.0, 0.0),
        (0.01, 1.01, None),
        (0.3, 1.5, 0.0),
        (0.3, 1.51, None),
    ],
)
def test_a_reply_is_late_after_a_second_and_five_times_the_usual(
    usual: float, late: float, recover_s: float | None
) -> None:
    end = _every(0.02, 0, 10)
    replies = Replies(end, np.where(end < 4, usual, late), np.ones(len(end), bool))
    assert _recover_s(replies) == recover_s


def test_what_one_in_a_hundred_waits_longer_than_is_usual() -> None:
    end = _every(0.01, 0, 10)
    waited = np.where(end < 4, 0.01, 2.0)
    waited[[10, 50, 90, 130, 170]] = 0.6  # more than one in a hundred of 400
    assert _recover_s(Replies(end, waited, np.ones(len(end), bool))) == 0.0
    waited[[10, 50, 90]] = 0.01
    assert _recover_s(Replies(end, waited, np.ones(len(end), bool))) is None


def test_only_correct_replies_say_what_waiting_is_usual() -> None:
    end = _every(0.02, 0, 10)
    bad = np.zeros(len(end), bool)
    bad[::20] = True
    waited = np.where(end < 4, np.where(bad, 9.0, 0.01), 2.0)
    assert _recover_s(Replies(end, waited, ~bad)) is None


@pytest.mark.parametrize(
    ("before", "gap", "felt"),
    [
        (0.01, 0.49, False),  # half a second never counts
        (0.01, 0.52, True),
        (0.05, 0.68, False),  # of 20 per second, chance leaves gaps of ln(10^6) / 20 = 0.69 s
        (0.05, 0.71, True),
    ],
)
def test_a_gap_counts_beyond_half_a_second_and_what_chance_explains(before: float, gap: float, felt: bool) -> None:
    replies = _served(_every(before, 0, 5), _every(before, 5 - before + gap, 10))
    (recovery,) = _recoveries(replies, _fault(4.0))
    assert recovery.seconds == (pytest.approx(1 - before + gap) if felt else 0.0)


@pytest.mark.parametrize(("gap", "felt"), [(1.19, False), (1.22, True)])
def test_a_gap_counts_if_it_is_twice_the_longest_usual(gap: float, felt: bool) -> None:
    usual = [_every(0.01, 0, 2), _every(0.01, 2.59, 4)]  # a gap of 0.6 s
    replies = _served(*usual, _every(0.01, 4, 5), _every(0.01, 4.99 + gap, 12))
    (recovery,) = _recoveries(replies, _fault(4.0), end=12.0)
    assert recovery.seconds == (pytest.approx(0.99 + gap) if felt else 0.0)


def test_a_gap_between_two_calm_spans_is_not_usual() -> None:
    replies = _served(_every(0.01, 0, 4), _every(0.01, 6, 9), _every(0.01, 10, 14))
    first, second = _recoveries(replies, _fault(4.0), _fault(8.0, 8.0), end=14.0)
    assert (first.seconds, second.seconds) == pytest.approx((2.0, 2.0))


def test_bad_replies_do_not_fill_a_gap_and_do_not_make_one_usual() -> None:
    replies = _served(_every(0.01, 0, 4), _every(0.01, 6, 10), bad=_every(0.5, 4, 6))
    assert _recover_s(replies) == pytest.approx(2.0)


def test_a_gap_until_the_end_is_no_recovery_and_one_from_the_effect_on_is_felt() -> None:
    assert _recover_s(_served(_every(0.02, 0, 8))) is None
    assert _recover_s(_served(_every(0.02, 0, 4), _every(0.02, 5, 10))) == pytest.approx(1.0)


def test_without_a_correct_reply_before_it_no_gap_and_no_wait_shows_anything() -> None:
    nothing_before = _served(_every(0.5, 5.5, 10), waited=0.9)
    assert _recover_s(nothing_before) == 0.0
    slow = _served(_every(0.02, 4, 10), waited=1.5)
    assert _recover_s(slow) is None, "a second is the limit"


def test_recovery_times_are_rounded_to_a_tenth_of_a_millisecond() -> None:
    replies = _served(_every(0.02, 0, 4), 6.12344 + _every(0.02, 0, 3.8))
    assert _recover_s(replies) == 2.1234


def test_enough_is_19_of_20_and_chance_is_one_in_a_million() -> None:
    assert (ENOUGH, CHANCE) == (0.95, 1e-6)


@pytest.mark.parametrize(("bad", "total", "good"), [(0, 0, 0.95), (0, 80, 0.99), (1, 0, 0.9), (7, 60, 0.9)])
def test_the_usual_share_counts_one_bad_request_in_twenty_more(bad: int, total: int, good: float) -> None:
    assert UsualShare(bad, total).good == pytest.approx(good, abs=1e-12)


@pytest.mark.parametrize(("bad", "total"), [(0, 10_000), (0, 100), (50, 1000), (300, 1000)])
def test_the_tolerance_solves_lundbergs_equation(bad: int, total: int) -> None:
    usual = UsualShare(bad, total)
    t = math.log(1e6) / usual.tolerance
    wanted = 0.95 * usual.good
    average = (1 - usual.good) * math.exp(t * wanted) + usual.good * math.exp(t * (wanted - 1))
    assert t > 0 and average == pytest.approx(1, abs=1e-9)


def test_a_stretch_of_bad_requests_ends_with_its_last_one() -> None:
    good = np.ones(1000, bool)
    good[100:110] = False
    assert find_last_shortfall(good, UsualShare(0, 1000)) == 109
    good[105] = True
    assert find_last_shortfall(good, UsualShare(0, 1000)) == 109
    good[-3:] = False
    assert find_last_shortfall(good, UsualShare(0, 1000)) == 999


def test_what_is_usual_may_be_bad() -> None:
    half = np.arange(400) % 2 == 0
    assert find_last_shortfall(half, UsualShare(500, 1000)) is None
    assert find_last_shortfall(half, UsualShare(0, 1000)) == 399
