import random
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.explain import trace_session
from harness.analysis.metrics.fold import fold
from harness.load.recording.histograms import HistogramWriter, spool_writer
from harness.load.recording.recorder import Recorder, SpoolWriter, StringTable
from harness.observations.requests import DROPPED
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.results import spool
from harness.results.arm_files import ArmObservations
from harness.results.summary import Controls, DesignSummary, Phases, Summary
from harness.results.verdicts import Result
from harness.scenario.expectations import loses_only_the_at_risk, loses_the_at_risk, recovers, stays_down, surges
from tests.support.clocks_and_topology import RequestRow, kill_at, observed

MS = 1_000_000


def written(directory: Path, records: bool, seed: int) -> ArmObservations:
    """An arm of two thousand requests that a load process kept in this format."""
    writer, rng = spool_writer(directory, records), random.Random(seed)
    names, recorder = StringTable(writer.write_name), Recorder(writer.write)
    writer.set_window(1.0, 9.0)
    for n in range(2000):
        replica = rng.choice(["", "r0", "r1"])
        outcome, anomaly = (0, rng.choice([0, 0, 0, 2, 8])) if replica else (2, 0)
        intended = n * 5 * MS
        sent = intended + rng.randrange(MS)
        end = sent + round(rng.lognormvariate(14, 1))
        phase = 1 if n % 100 == 0 else DROPPED if n % 15 == 0 else 0
        if phase == DROPPED:
            replica, outcome, anomaly = "", 1, 0
        name, by, size = names.intern("name", "GET /"), names.intern("replica", replica), rng.randrange(900)
        what = (name, 0, outcome, anomaly, 1, 0, phase, 200, by, 0)
        recorder.add(n % 40 + 1, 1, 0, *what, intended, sent, -1, end, 100, size)
    recorder.flush()
    writer.write_ledgers([])
    writer.close()
    kept, tallied = spool.read_requests(directory), spool.read_aggregates(directory)
    return replace(observed([RequestRow(1, 1)]), requests=kept, aggregates=tallied, warmup=1.0, duration=9.0)


@pytest.mark.parametrize("seed", range(3))
def test_histograms_agree_with_records(tmp_path: Path, seed: int) -> None:
    exact, metrics = (fold(written(tmp_path / str(records), records, seed)) for records in (True, False))
    assert exact.requests.attempted > 1500 and exact.requests.dropped > 50
    assert metrics.latency_is_lower_bound and exact.latency_is_lower_bound
    for name in ("requests", "throughput", "bytes"):
        assert getattr(metrics, name) == getattr(exact, name), name
    assert metrics.spread.per_replica == exact.spread.per_replica
    assert (metrics.sessions.moved, metrics.sessions.wrong) == (exact.sessions.moved, exact.sessions.wrong)
    assert metrics.availability.overall == exact.availability.overall
    assert list(metrics.names) == list(exact.names) == ["GET /"]
    for key in ("requests", "ok", "correct", "anomalies", "wrong", "statuses", "failures"):
        assert getattr(metrics.names["GET /"], key) == getattr(exact.names["GET /"], key), key
    assert exact.names["GET /"].failures
    for name in ("p50", "p90", "p99", "p999", "max"):
        for times in ("latency_ms", "service_ms"):
            value, expected = getattr(getattr(metrics, times), name), getattr(getattr(exact, times), name)
            assert value == pytest.approx(expected, rel=1.1e-3, abs=2e-4), (times, name)


def test_metrics_that_need_records_are_none(tmp_path: Path) -> None:
    metrics = fold(written(tmp_path, False, 1))
    assert metrics.phases == Phases(None, None, None) and metrics.availability.during_fault is None
    assert metrics.sessions.at_risk is metrics.sessions.lost_not_at_risk is metrics.sessions.at_risk_not_lost is None


def test_a_spool_of_histograms_does_not_grow_with_the_requests(tmp_path: Path) -> None:
    written(tmp_path, False, 1)
    assert (tmp_path / "requests.bin").stat().st_size == 0
    assert (tmp_path / "tallied.json").stat().st_size < 100_000


def test_a_crash_leaves_the_histograms_of_some_seconds_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.load.recording.histograms.WRITE_INTERVAL_S", 0.0)
    writer = HistogramWriter(tmp_path)
    writer.set_window(0, 1)
    recorder = Recorder(writer.write)
    recorder.add(*([1] * 5), 0, 0, 1, 0, 0, 200, 0, 0, 5, 6, -1, 7, 1, 1)
    recorder.flush()
    aggregates = spool.read_aggregates(tmp_path)
    assert aggregates is not None and aggregates.attempted == 1


def test_records_are_written_by_default(tmp_path: Path) -> None:
    assert type(spool_writer(tmp_path, records=True)) is SpoolWriter


def test_an_expectation_that_needs_records_is_unknown_without_them(tmp_path: Path) -> None:
    arm = replace(written(tmp_path, False, 1), events=tuple(kill_at(2, healed=3)))
    metrics = {"fault": fold(arm)}
    assert metrics["fault"].faults[0].healed == 3 and metrics["fault"].faults[0].recover_s is None
    right = replace(metrics["fault"], sessions=replace(metrics["fault"].sessions, wrong=0))  # wrong content needs none
    summary = Summary("s", "r", {"d": DesignSummary({}, {"fault": right}, SessionOutcome.KEPT)}, Controls(None, None))
    wishes = [recovers("d"), stays_down("d"), loses_the_at_risk("d"), loses_only_the_at_risk("d"), surges("d", least=1)]
    for expectation in wishes:
        (verdict,) = expectation.judge(summary)
        assert verdict.result is Result.UNKNOWN, verdict


def test_a_session_without_records_still_has_a_trace(tmp_path: Path) -> None:
    lost = SessionVerdict(3, lost=True, outcome=SessionOutcome.LOST)
    arm = replace(written(tmp_path, False, 1), events=tuple(kill_at(2, healed=3)), judgements=(lost,))
    assert trace_session([arm], "sticky/3").why[0].startswith("judged lost")
