"""Several load processes under a Locust master: nothing is lost or counted twice, and no process is left behind."""

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from harness.cluster.supervisor import start_supervisor
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.common.ports import Reservation
from harness.load.control.channel import Joined, WorkerLost
from harness.observations.requests import DROPPED
from harness.results import spool
from harness.runner.driver import Driver, LoadCallbacks, start_driver
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.driver_processes import Address, DriverProcesses
from harness.scenario.workload import Load, Sessions
from tests.e2e.test_load import CLOSED, OPEN, PLAIN, SHOPPERS, Loaded, shop
from tests.support.harness_command import ROOT, argv
from tests.support.load import Scripted, scripted

pytestmark = pytest.mark.slow


@dataclass
class WorkerEvents:
    joined: list[Joined] = field(default_factory=list)
    lost: list[WorkerLost] = field(default_factory=list)


def free() -> Address:
    with Reservation() as reserved:
        return Address("127.0.0.1", reserved.port)


async def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "the condition was never met"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def elsewhere(by: DriverProcesses) -> AsyncIterator[Process]:
    """A worker as another machine would have it."""
    environment = {**os.environ, "HARNESS_WORKER_TOKEN": by.token}
    worker = await asyncio.create_subprocess_exec(*argv("worker", "--master", str(by.bind)), cwd=ROOT, env=environment)
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.send_signal(signal.SIGINT)
        await asyncio.wait_for(worker.wait(), 60)


@asynccontextmanager
async def start_workload(
    directory: Path, text: str, load: Load, by: DriverProcesses, workers: WorkerEvents
) -> AsyncIterator[Driver]:
    users = directory / "shoppers.py"
    users.write_text(text)
    arm = Arm(Design("one"), "control", load, ())
    callbacks = LoadCallbacks(joined=workers.joined.append, lost=workers.lost.append)
    async with (
        start_supervisor("test") as supervisor,
        start_driver(
            arm,
            users,
            spool=directory / "spool",
            log=directory / "load.log",
            supervisor=supervisor,
            seed=7,
            processes=by,
            callbacks=callbacks,
        ) as driver,
    ):
        yield driver


async def loaded(directory: Path, server: Scripted, text: str, load: Load, by: DriverProcesses) -> Loaded:
    async with start_workload(directory, text, load, by, WorkerEvents()) as driver:
        await driver.wait_until_ready()
        driver.start(server.url)
        await driver.wait_until_stopped()
        swept = await driver.sweep()
    return Loaded(directory / "spool", driver.snapshots, swept)


async def test_the_records_of_two_processes_are_judged_together(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, SHOPPERS, CLOSED, DriverProcesses(processes=2))
        received = len(server.requests)
    last = seen.snapshots[-1]
    during = seen.requests[seen.requests.phase == 0]
    each = [spool.read_requests(tmp_path / "spool" / name) for name in ("worker-1", "worker-2")]
    assert all(len(requests) > 20 for requests in each)
    assert len(seen.requests) == sum(map(len, each)) == received
    assert last.sent == last.ok == len(during)
    assert seen.swept == last.sessions == len(seen.judgements) == (seen.requests.phase == 1).sum()
    assert {(verdict.outcome, verdict.unknown) for verdict in seen.judgements} == {("kept", False)}
    assert not set(each[0].session) & set(each[1].session)
    assert during.op[during.op != 0].is_unique
    assert seen.requests.t_end.is_monotonic_increasing and set(during.name) == {"POST /cart/add", "GET /cart"}


async def test_a_killed_worker_is_reported_and_the_others_continue(tmp_path: Path) -> None:
    workers = WorkerEvents()
    load = Sessions(concurrent=8, duration="60s", warmup="0s")
    with scripted(otherwise=shop()) as server:
        async with start_workload(tmp_path, SHOPPERS, load, DriverProcesses(processes=2), workers) as driver:
            await driver.wait_until_ready()
            assert {worker.worker for worker in workers.joined} == {"worker-1", "worker-2"}
            assert {worker.clock_error_ms for worker in workers.joined} == {0}
            driver.start(server.url)
            await until(lambda: bool(driver.snapshots) and driver.snapshots[-1].ok > 200)
            os.kill(driver.pids["worker-2"], signal.SIGKILL)
            await until(lambda: bool(workers.lost))
            before = driver.snapshots[-1].ok
            await until(lambda: driver.snapshots[-1].ok > before + 50)
            driver.stop()
            await driver.wait_until_stopped()
            swept = await driver.sweep()
        seen = Loaded(tmp_path / "spool", driver.snapshots, swept)
    (lost,) = workers.lost
    assert lost.worker == "worker-2" and "exit code -9" in lost.why and lost.sessions > 0
    assert seen.swept == len(seen.judgements) == driver.snapshots[-1].sessions - lost.sessions
    assert {verdict.session % 2 for verdict in seen.judgements} == {1}, "only the sessions of the first worker"
    assert {session % 2 for session in seen.requests.session} == {0, 1}, "the records of the second worker remain"
    assert {(verdict.outcome, verdict.unknown) for verdict in seen.judgements} == {("kept", False)}


async def test_a_remote_worker_sends_its_records(tmp_path: Path) -> None:
    master = free()
    by = DriverProcesses(processes=1, elsewhere=1, bind=master)
    with scripted(otherwise=shop()) as server:
        async with elsewhere(by):
            seen = await loaded(tmp_path, server, SHOPPERS, OPEN, by)
        received = len(server.requests)
    each = [spool.read_requests(tmp_path / "spool" / name) for name in ("worker-1", "worker-2")]
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if str(master.port) in (process.info["cmdline"] or ())
    ]
    assert all(len(requests) > 20 for requests in each)
    assert len(seen.requests) == sum(map(len, each))
    assert (seen.requests.phase != DROPPED).sum() == received
    assert seen.swept == len(seen.judgements) == seen.snapshots[-1].sessions
    arrivals = seen.requests[seen.requests.phase == 0].t_intended.sort_values()
    assert arrivals.is_unique and (arrivals % 5_000_000 == 0).all(), "each at most once, by whichever worker"
    assert arrivals.tolist()[:100] == [n * 5_000_000 for n in range(100)], "and none is left out"


async def test_the_requests_of_a_plain_locustfile_in_two_processes_are_all_counted(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, PLAIN, CLOSED, DriverProcesses(processes=2))
        received = len(server.requests)
    assert len(seen.requests) == received == seen.snapshots[-1].sent > 50
    table = next(line for line in (tmp_path / "load.log").read_text().splitlines() if "Aggregated" in line)
    assert int(table.split()[1]) == received, "Locust's own sum over its workers"


async def test_a_worker_without_a_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 workers share 1 sessions"):
        async with start_workload(
            tmp_path, SHOPPERS, Sessions(concurrent=1), DriverProcesses(processes=2), WorkerEvents()
        ):
            pass


async def test_a_master_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        by = DriverProcesses(elsewhere=1, bind=Address("127.0.0.1", taken.getsockname()[1]))
        with pytest.raises(EnvironmentLacksError, match="no master can listen"):
            async with start_workload(tmp_path, SHOPPERS, CLOSED, by, WorkerEvents()):
                pass
