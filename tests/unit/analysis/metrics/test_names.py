"""The requests by the names that they are counted under."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from harness.analysis.metrics.fold import fold
from harness.observations.events import Event
from harness.results.summary import EndpointStats
from tests.support.clocks_and_topology import RequestRow, kill_at, observed


def _names(
    rows: Sequence[tuple[str, RequestRow]], events: Sequence[Event] = (), warmup: float = 0.0
) -> dict[str, EndpointStats]:
    arm = observed([row for _, row in rows], events)
    return dict(
        fold(
            replace(arm, warmup=warmup, requests=arm.requests.assign(name=pd.Categorical([name for name, _ in rows])))
        ).names
    )


def test_the_64_most_frequent_names_are_reported() -> None:
    rows = [(f"GET /{n}", RequestRow(1, 1.0)) for n in range(66) for _ in range(2 if n in (64, 65) else 1)]
    names = list(_names(rows))
    assert len(names) == 64 and set(names[:2]) == {"GET /64", "GET /65"}


def test_a_name_that_was_only_requested_during_the_warm_up_is_not_reported() -> None:
    rows = [("POST /login", RequestRow(1, 0.1)), ("GET /", RequestRow(1, 1.0))]
    assert list(_names(rows, warmup=0.5)) == ["GET /"]


def test_of_each_name_replies_are_counted_by_what_they_were() -> None:
    rows = [
        RequestRow(1, 1.0),
        RequestRow(1, 1.1, anomaly="wrong"),
        RequestRow(1, 1.2, anomaly="stale"),
        RequestRow(1, 1.3, outcome="failed", status=503),
        RequestRow(1, 1.4, outcome="failed", status=503),
        RequestRow(1, 1.5, outcome="in_doubt", status=0),
        RequestRow(1, 1.6, outcome="failed", status=503, anomaly="wrong"),
    ]
    stats = _names([("GET /", row) for row in rows])["GET /"]
    assert (stats.requests, stats.ok, stats.correct, stats.anomalies, stats.wrong) == (7, 3, 1, 3, 2)
    assert list(stats.statuses.items()) == [("200", 3), ("503", 3), ("0", 1)] or stats.statuses == {
        "200": 3,
        "503": 3,
        "0": 1,
    }
    assert list(stats.failures.items()) == [("503", 3), ("0", 1)], "the most frequent first"


def test_times_of_each_name_count_from_the_intended_start() -> None:
    rows = [RequestRow(1, n / 1000, took=n / 1000, intended=0.0) for n in range(1, 1001)]
    stats = _names([*(("GET /", row) for row in rows), ("GET /other", RequestRow(1, 1.0, took=9.0))])["GET /"]
    times = (stats.p50_ms, stats.p90_ms, stats.p99_ms, stats.p999_ms, stats.max_ms)
    assert times == pytest.approx((1000, 1800, 1980, 1998, 2000))


def test_bytes_are_the_mean_of_what_was_answered_well_to_a_tenth() -> None:
    arm = observed([*(RequestRow(1, t) for t in (1.0, 1.1, 1.2)), RequestRow(1, 1.3, outcome="failed")])
    sized = arm.requests.assign(bytes_sent=[100, 100, 101, 999], bytes_received=[400, 401, 401, 999])
    stats = fold(replace(arm, requests=sized)).names["GET /cart"]
    assert (stats.request_bytes, stats.response_bytes) == (100.3, 400.7)
    failed = fold(observed([RequestRow(1, 1.3, outcome="failed")])).names["GET /cart"]
    assert (failed.request_bytes, failed.response_bytes) == (None, None)


def _counted(stats: EndpointStats) -> dict[str, int]:
    return {phase: own.requests for phase, own in stats.phases.items()}


def _steady(begin: float, end: float, every: float = 0.1) -> list[tuple[str, RequestRow]]:
    return [("GET /", RequestRow(1, begin + every * n, took=0.0)) for n in range(round((end - begin) / every))]


def test_a_request_of_a_name_belongs_to_the_phase_in_which_it_ended() -> None:
    rows = [*_steady(0, 10), ("GET /late", RequestRow(2, 3.5, took=0.5)), ("GET /late", RequestRow(2, 5.5, took=0.5))]
    names = _names(rows, kill_at(4.0, healed=6.0))
    assert _counted(names["GET /"]) == {"before": 40, "during": 20, "after": 40}
    assert _counted(names["GET /late"]) == {"during": 1, "after": 1}, "a phase without one is left out"
    assert names["GET /"].phases["before"].ok == 40


def test_without_recovery_all_that_follows_is_during_the_fault() -> None:
    rows = [*_steady(0, 4, 0.02), ("GET /", RequestRow(2, 9.0, "in_doubt", None, None, took=5.0))]
    assert _counted(_names(rows, kill_at(4.0, healed=6.0))["GET /"]) == {"before": 200, "during": 1}


def test_without_a_fault_that_took_effect_there_are_no_phases() -> None:
    assert _names(_steady(0, 10))["GET /"].phases == {}
    assert _names(_steady(0, 10), kill_at(4.0)[:1])["GET /"].phases == {}


def test_the_first_effect_of_several_faults_begins_the_phase() -> None:
    events = [*kill_at(3.0, healed=3.5), *kill_at(6.0, replica="r2", boot="b2", healed=7.0)]
    assert _counted(_names(_steady(0, 10), events)["GET /"]) == {"before": 30, "during": 40, "after": 30}
