import os
from collections.abc import Callable

import pytest

from harness.load.recording.live_stats import Lag, LiveStats
from harness.load.recording.recorder import Chunk, Recorder, StringTable
from harness.observations.requests import SWEEP, Anomaly, Method, Outcome

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"  # these tests run in a process with threads

from locust.stats import RequestStats

from harness.load.recording.locust_stats import LocustStats

MS = 1_000_000
#: (name, method, outcome, status, milliseconds from the send, bytes)
REQUESTS = [
    ("POST /cart", Method.POST, Outcome.OK, 200, 3.2, 100),
    ("POST /cart", Method.POST, Outcome.OK, 200, 151.0, 120),
    ("POST /cart", Method.POST, Outcome.IN_DOUBT, 0, 5000.0, 0),
    ("GET /cart", Method.GET, Outcome.FAILED, 404, 1.6, 30),
    ("GET /cart", Method.GET, Outcome.FAILED, 404, 1.4, 30),
    ("browse", Method.GET, Outcome.OK, 200, 77.0, 10),
]


def chunk(names: StringTable, phase: int = 0, late: float = 0.0, anomaly: Anomaly = Anomaly.NONE) -> Chunk:
    chunks: list[Chunk] = []
    recorder = Recorder(chunks.append)
    for name, method, outcome, status, took, size in REQUESTS:
        sent, number = round(late * MS), names.intern("name", name)
        end = sent + round(took * MS)
        recorder.add(1, 1, 0, number, method, outcome, anomaly, 1, 0, phase, status, 0, 0, 0, sent, -1, end, 9, size)
    recorder.flush()
    return chunks[0]


def test_locusts_table_has_the_counts_of_locust_itself() -> None:
    names = StringTable()
    ours, theirs = RequestStats(), RequestStats()
    LocustStats(ours, names).add(chunk(names, late=20.0))
    for name, method, outcome, _, took, size in REQUESTS:
        theirs.log_request(method.name, name.removeprefix(f"{method.name} "), took, size)  # type: ignore[arg-type]
        if outcome is not Outcome.OK:
            theirs.log_error(method.name, name.removeprefix(f"{method.name} "), "x")
    assert ours.entries.keys() == theirs.entries.keys()
    for mine, its in [
        (ours.total, theirs.total),
        *((ours.entries[key], theirs.entries[key]) for key in theirs.entries),
    ]:
        assert mine.num_requests == its.num_requests
        assert mine.num_failures == its.num_failures
        assert dict(mine.response_times) == dict(its.response_times)
        assert (mine.min_response_time, mine.max_response_time) == pytest.approx(
            (its.min_response_time, its.max_response_time)
        )
        assert mine.total_response_time == pytest.approx(its.total_response_time)
        assert mine.total_content_length == its.total_content_length
        assert sum(mine.num_reqs_per_sec.values()) == its.num_requests
    assert sorted((error.method, error.name, error.error, error.occurrences) for error in ours.errors.values()) == [
        ("GET", "/cart", "failed: HTTP 404", 2),
        ("POST", "/cart", "in doubt: no reply", 1),
    ]


def test_counts_add_up_over_chunks_without_the_sweep() -> None:
    names, counts = StringTable(), LiveStats()
    counts.add(chunk(names, anomaly=Anomaly.STALE))
    counts.add(chunk(names, late=10.5))
    counts.add(chunk(names, phase=SWEEP, late=99.0, anomaly=Anomaly.LOST))
    shot = counts.snapshot(1.0, sent=13, sessions=2, lost=1, dropped=4)
    assert (shot.n, shot.sent, shot.ok, shot.failed, shot.in_doubt) == (1, 13, 6, 4, 2)
    assert (shot.anomalies, shot.late, shot.dropped, shot.sessions, shot.sessions_lost) == (6, 6, 4, 2, 1)


def test_p99_covers_the_last_interval_and_counts_from_the_intended_start() -> None:
    names, counts = StringTable(), LiveStats()
    counts.add(chunk(names, late=100.0))
    first, second = (counts.snapshot(t, 0, 0, 0, 0) for t in (0.2, 0.4))
    assert first.p99_ms is not None and 4000 < first.p99_ms <= 5100
    assert second.p99_ms is None and second.n == 2


class Timers:
    def __init__(self) -> None:
        self.calls: list[tuple[int, Callable[[int], None]]] = []

    def call_at(self, t_ns: int, call: Callable[[int], None]) -> None:
        self.calls.append((t_ns, call))


class FakeClock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr("harness.load.recording.live_stats.time.monotonic_ns", clock)
    return clock


def fire(timers: Timers, clock: FakeClock, *late_ms: float) -> None:
    for late in late_ms:
        due, call = timers.calls.pop()
        clock.now = due + round(late * MS)
        call(clock.now)


def test_lag_is_how_late_the_timer_fires(clock: FakeClock) -> None:
    timers = Timers()
    lag = Lag(timers.call_at)
    lag.start(0)
    assert lag.percentiles_ms(99) == [None]
    fire(timers, clock, *[3.0] * 200)
    assert lag.percentiles_ms(99)[0] == pytest.approx(3.0, abs=0.02)
    assert clock.now == 200 * 13 * MS, "the timer is due 10 ms after it fired"
    lag.reset()
    assert lag.percentiles_ms(99) == [None]


def test_a_stall_counts_once_per_tick_that_it_covers(clock: FakeClock) -> None:
    timers = Timers()
    lag = Lag(timers.call_at)
    lag.start(0)
    fire(timers, clock, *[0.0] * 599, 2000.0, *[0.0] * 0)
    assert lag.percentiles_ms(100)[0] == pytest.approx(2000.0, abs=0.02)
    # 599 ticks in time, and 201 from 2,000 ms down to 0: a quarter of the time.
    assert lag.percentiles_ms(75)[0] == pytest.approx(0.01, abs=0.02)
    assert lag.percentiles_ms(87.5)[0] == pytest.approx(1000.0, abs=20)
    assert lag.percentiles_ms(99)[0] == pytest.approx(1920.0, abs=20)


def test_a_timer_that_fires_early_is_in_time(clock: FakeClock) -> None:
    timers = Timers()
    lag = Lag(timers.call_at)
    lag.start(0)
    fire(timers, clock, -0.5)
    assert lag.percentiles_ms(100)[0] == pytest.approx(0.01)


def test_what_may_be_the_drivers_own_counts_the_delay_of_two_events_per_request(clock: FakeClock) -> None:
    timers = Timers()
    lag = Lag(timers.call_at)
    lag.start(0)
    fire(timers, clock, *(n / 100 for n in range(1000)))  # up to 9.99 ms
    shot = LiveStats(lag).snapshot(1.0, 0, 0, 0, 0)
    own = (shot.own_p50_ms, shot.own_p90_ms, shot.own_p99_ms)
    assert own == pytest.approx((7.5, 9.5, 9.95), abs=0.02)
    assert (shot.lag_p99_ms, shot.longest_stall_ms) == pytest.approx((9.9, 10.0), abs=0.02)


def test_a_start_is_late_by_the_driver_only_if_no_session_was_awaited() -> None:
    names, counts = StringTable(), LiveStats()
    counts.add(chunk(names, late=10.5))
    assert counts.snapshot(1.0, 0, 0, 0, 0, queued=4).late == 2
    assert counts.snapshot(1.0, 0, 0, 0, 0, queued=9).late == 0


def test_late_starts_of_the_warm_up_and_delays_after_the_load_do_not_count(clock: FakeClock) -> None:
    names, timers = StringTable(), Timers()
    lag = Lag(timers.call_at)
    counts = LiveStats(lag)
    counts.add(chunk(names, late=10.5))
    counts.forget_late_starts()
    counts.add(chunk(names, late=10.5))
    lag.start(0)
    fire(timers, clock, 1.0)
    lag.stop()
    fire(timers, clock, 500.0)
    shot = counts.snapshot(1.0, 0, 0, 0, 0)
    assert (shot.late, shot.ok) == (6, 6)
    assert shot.longest_stall_ms == pytest.approx(1.01) and not timers.calls
