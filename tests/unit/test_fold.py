import pytest

from harness.fold import at_risk, cause_of, deaths, fold, interval, percentiles
from harness.oracle.judge import Loss
from tests.fakes import Asked, kill_at, observed, requests


def _steady(session: int, boot: str, start: float, end: float, every: float = 0.1, **more: object) -> list[Asked]:
    count = round((end - start) / every)
    return [Asked(session, start + every * n, boot=boot, op=n + 1 if n % 2 else 0, **more) for n in range(count)]  # type: ignore[arg-type]  # the factory's own keywords


def test_attempted_is_the_sum_of_the_outcomes() -> None:
    asked = [Asked(1, 1), Asked(1, 2, outcome="failed"), Asked(1, 3, outcome="in_doubt", replica=None, boot=None)]
    figures = fold(observed(asked)).requests
    assert (figures.attempted, figures.ok, figures.failed, figures.in_doubt) == (3, 1, 1, 1)


def test_latency_counts_from_the_intended_start_and_service_time_from_the_send() -> None:
    arm = fold(observed([Asked(1, 2.0, intended=1.5, took=0.1)]))
    assert arm.latency_ms.p50 == pytest.approx(600)
    assert arm.service_ms.p50 == pytest.approx(100)


def test_an_anomalous_reply_is_ok_but_not_correct() -> None:
    throughput = fold(observed([Asked(1, 1), Asked(1, 2, anomaly="lost")], duration=10)).throughput
    assert throughput.mean == pytest.approx(0.2)
    assert throughput.correct == pytest.approx(0.1)


def test_the_final_sweep_is_no_load() -> None:
    assert fold(observed([Asked(1, 1), Asked(1, 2, phase=1)])).requests.attempted == 1


def test_the_sessions_at_risk_are_those_last_acknowledged_by_the_victim() -> None:
    asked = [
        *_steady(1, "b1", 0, 4),
        *_steady(2, "b0", 0, 4),
        *_steady(3, "b1", 0, 2),
        *_steady(3, "b0", 2, 4),  # moved away in time
        Asked(4, 1, boot="b1"),  # read only: nothing to lose
        *_steady(5, "b0", 4.5, 6),  # began after the fault
    ]
    assert at_risk(requests(asked), deaths(kill_at(4.2))) == {1}


def test_a_reply_of_the_victim_that_arrives_after_its_death_counts_as_before() -> None:
    asked = [Asked(1, 3.9, boot="b1", op=1), Asked(1, 4.0, boot="b1", op=2, took=0.5)]
    assert at_risk(requests(asked), deaths(kill_at(4.2))) == {1}


def test_a_reply_rerouted_before_the_evidence_of_the_kill_came_in_changes_nothing() -> None:
    asked = [Asked(1, 3.9, boot="b1", op=1), Asked(1, 4.201, boot="b0", replica="r0", anomaly="lost", took=0.001)]
    assert at_risk(requests(asked), deaths(kill_at(4.2, took=0.01))) == {1}


def test_detection_ends_with_the_last_error_that_no_replica_answered_for() -> None:
    errors = [
        Asked(2, 4.1, outcome="in_doubt", replica=None, boot=None),
        Asked(2, 5.0, outcome="failed", replica=None, boot=None),
    ]
    own = [Asked(2, 8.0, outcome="failed")]  # the target's own 4xx has nothing to do with the fault
    fault = fold(observed([*_steady(1, "b0", 0, 10), *errors, *own], kill_at(4.0, healed=6.0))).faults[0]
    assert fault.detect_s == pytest.approx(1.01)


def test_recovery_is_when_correct_goodput_is_back_for_a_second() -> None:
    asked = [*_steady(1, "b0", 0, 4, 0.01), *_steady(1, "b0", 6, 10, 0.01)]
    fault = fold(observed(asked, kill_at(4.0, healed=6.0))).faults[0]
    assert fault.recover_s == pytest.approx(1.95, abs=0.1)


def test_a_fault_that_is_never_recovered_from_says_so() -> None:
    fault = fold(observed(_steady(1, "b0", 0, 4, 0.01), kill_at(4.0, healed=6.0))).faults[0]
    assert fault.recover_s is None


def test_a_second_loss_to_the_empty_replica_is_a_cause_of_its_own() -> None:
    killed = deaths(kill_at(4.0, boot="b1", healed=6.0))

    def loss(before: str, after: str) -> Loss:
        return Loss(t_ns=0, birth_before="x", birth_after="y", boot_before=before, boot_after=after, writes=1)

    assert cause_of(loss("b1", "b0"), killed) == "killed"
    assert cause_of(loss("b0", "b1'"), killed) == "returned_empty"
    assert cause_of(loss("b0", "b2"), killed) == "moved"
    assert cause_of(loss("b0", "b0"), killed) == "unattributed"


def test_an_effect_that_took_place_twice_is_a_duplicate() -> None:
    asked = [Asked(1, 1, op=7), Asked(2, 1, op=8)]
    assert fold(observed(asked, effects=[7, 8, 8])).writes.duplicated == 1


def test_an_acknowledged_effect_that_never_took_place_is_a_lost_write() -> None:
    asked = [Asked(1, 1, op=7), Asked(2, 1, op=8), Asked(3, 1, op=9, outcome="in_doubt")]
    assert fold(observed(asked, effects=[7])).writes.lost == 1


def test_phases_meet_at_the_fault_and_at_recovery() -> None:
    asked = _steady(1, "b0", 0, 10, 0.01)
    phases = fold(observed(asked, kill_at(4.0, healed=6.0))).phases
    assert phases.before is not None and phases.after is not None
    assert phases.before.requests.attempted == 400
    total = sum(phase.requests.attempted for phase in (phases.before, phases.during, phases.after) if phase)
    assert total == len(asked)


def test_an_arm_without_a_request_has_figures_all_the_same() -> None:
    arm = fold(observed([Asked(1, 99.0)], duration=10))
    assert arm.requests.attempted == 0 and arm.latency_ms.p99 is None and arm.availability.overall is None


def test_spread_is_told_a_replica() -> None:
    asked = [Asked(1, n / 100, replica=f"r{n % 3}") for n in range(300)]
    spread = fold(observed(asked)).spread
    assert spread.per_replica == {"r0": 100, "r1": 100, "r2": 100}
    assert spread.cv == 0


def test_percentiles_are_values_that_were_observed() -> None:
    import numpy as np  # noqa: PLC0415 - this test alone makes an array

    found = percentiles(np.array([0.001, 0.002, 0.1]))
    assert (found.p50, found.p99, found.max) == (2.0, 100.0, 100.0)


def test_the_interval_of_a_zero_reaches_up_to_the_exact_bound() -> None:
    low, high = interval(0, 100)
    assert low == 0 and high == pytest.approx(1 - 0.005 ** (1 / 100), abs=1e-5)
