from dataclasses import replace
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.common.errors import UsageError
from harness.load.arrivals.pacer import poisson
from harness.load.control.channel import Ready, StartLoad, Stopped, Swept
from harness.load.control.plan import LoadPlan, Shard
from harness.load.workers.clock_offset import ClockOffset
from harness.load.workers.reliable_channel import ReliableChannel
from harness.load.workers.worker_pool import Worker, WorkerPool, merge_snapshots
from harness.observations.samples import Snapshot


def worker(index: int) -> Worker:
    return Worker(
        index,
        "here",
        ReliableChannel(lambda kind, data: None, lambda payload: None),
        f"worker-{index + 1}",
        joined=True,
    )


def full_pool(size: int) -> WorkerPool:
    pool = WorkerPool(size)
    pool.workers += [worker(index) for index in range(size)]
    return pool


def test_counts_add_up_and_of_times_the_worst_is_reported() -> None:
    parts = [
        Snapshot(4, 1.0, 10, 7, 2, 1, 3, 5, 1, 20.0, 0.5, 0.3, 0.2, "core 1", 2, 1, users_ended=1, users_ended_why="A"),
        Snapshot(9, 1.2, 1, 1, 0, 0, 0, 2, 0, None, 4.0, 0.9, 0.8, "core 0", 0, 0, users_ended=4, users_ended_why="B"),
    ]
    merged = Snapshot(0, 1.2, 11, 8, 2, 1, 3, 7, 1, 20.0, 4.0, 0.9, 0.8, "core 0", 2, 1)
    assert merge_snapshots(parts) == replace(merged, users_ended=5, users_ended_why="B")


def test_the_pool_has_stopped_when_its_last_worker_has() -> None:
    both = full_pool(2)
    for each in both.workers:
        assert not both.stopped
        each.events[Stopped] = Stopped()
    assert both.stopped


def test_a_lost_worker_is_not_waited_for_and_its_counts_stay() -> None:
    both = full_pool(2)
    both.workers[0].events[Swept] = Swept(5)
    both.workers[1].last_snapshot = Snapshot(3, 0.6, ok=7, sessions=2)
    assert both.sessions_swept is None
    both.workers[1].lost = True
    assert both.sessions_swept == 5
    assert both.snapshot(8, 1.5) == Snapshot(8, 1.5, ok=7, sessions=2)


def test_the_pool_is_not_ready_before_every_worker_has_joined() -> None:
    half = WorkerPool(2)
    half.workers.append(worker(0))
    half.workers[0].events[Ready] = Ready()
    assert not half.ready


def test_numbered_workers_have_their_places_and_the_others_those_that_are_left() -> None:
    three = WorkerPool(3)
    assert [three.free_index(2), three.free_index(0)] == [1, 2]
    three.workers += [worker(1), worker(2)]
    assert (three.free_index(2), three.free_index(0), three.free_index(9)) == (None, 0, None)


@given(st.integers(1, 8), st.integers(0, 100))
def test_shares_have_every_arrival_once_and_no_session_in_common(of: int, seed: int) -> None:
    shares = [Shard(number, of) for number in range(of)]
    taken = sorted(t for share in shares for t in islice(share.select_arrivals(poisson(100, seed)), 20))
    assert taken == list(islice(poisson(100, seed), 20 * of))
    numbers = [share.session_number(index) for share in shares for index in range(20)]
    assert sorted(numbers) == list(islice(count(1), 20 * of))


def test_each_worker_needs_a_session() -> None:
    assert LoadPlan("closed", concurrent=3).users_for(2) == 3
    assert LoadPlan("partly_open", rate=5).users_for(4) == 4
    with pytest.raises(UsageError, match="4 workers share 3 sessions"):
        LoadPlan("closed", concurrent=3).users_for(4)


@given(st.integers(-(10**12), 10**12), st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1))
def test_the_clocks_differ_by_the_offset_and_at_most_its_error(ahead: int, ways: list[tuple[int, int]]) -> None:
    looks = [(100, 100 + there + ahead, 100 + there + back) for there, back in ways]
    offset = ClockOffset.of(looks)
    assert abs(offset.ahead - ahead) <= offset.error <= min(sum(way) for way in ways) / 2 + 1


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://127.0.0.1:80", True), ("http://localhost:8080/x", True), ("http://[::1]:1", True), ("http://h:1", False)],
)
def test_a_loopback_address_is_of_this_machine_only(url: str, here: bool) -> None:
    assert StartLoad(1, 2.0, 0.0, url).is_loopback is here
