"""How many sessions one driver process carries: tens of thousands, each asking once in ten seconds.

Prints a table, and as its last line one JSON object; exit code 1 where it takes too much memory, sends too late, or a
request fails. Beyond one address's ephemeral ports the driver connects from the next loopback address by itself.

    python -m benchmarks.many [--sessions 50000] [--seconds 30]
"""

import argparse
import asyncio
import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.cores import two_cores
from harness.cluster.balancers.launch import wait_for_process
from harness.cluster.supervisor import ProcessSpec, Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError, HarnessError
from harness.common.ports import LOOPBACK, Reservation
from harness.results.spool import read_requests
from harness.runner.driver import start_driver
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Sessions

MOST_BYTES = 1.5e9
MOST_LATE_MS = 100.0
WARM_S = 12  # until every session has asked once and is connected
_SPARE = 500
_USERS = Path(__file__).with_name("users") / "idle.py"


@dataclass(frozen=True)
class Carried:
    """What came of it."""

    sessions: int  # that sent anything
    requests: int
    not_ok: int
    memory_bytes: int
    bytes_per_session: int
    late_p50_ms: float  # sent after it should have been, once all are connected
    late_p99_ms: float
    late_max_ms: float
    cpu: float  # cores in use by the driver

    def broken(self, asked: int) -> list[str]:
        """What does not hold."""
        return [
            told
            for holds, told in (
                (self.sessions == asked, f"{self.sessions:,} of {asked:,} sessions sent anything"),
                (not self.not_ok, f"{self.not_ok:,} requests were not ok"),
                (self.memory_bytes < MOST_BYTES, f"{self.memory_bytes / 1e9:.2f} GB, above {MOST_BYTES / 1e9:g}"),
                (self.late_p99_ms < MOST_LATE_MS, f"p99 of the lateness is {self.late_p99_ms:.1f} ms"),
            )
            if not holds
        ]


def allow_descriptors(number: int) -> None:
    """Raise this process's limit of open files, which its children inherit.

    Raises:
        EnvironmentLacksError: it is not allowed to.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= number:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(number, hard)))
    except (ValueError, OSError) as problem:
        raise EnvironmentLacksError(
            f"{number:,} open files are needed, and {hard:,} allowed",
            f"ulimit -n {number}, as root or after raising nofile in /etc/security/limits.conf",
        ) from problem


async def carry(sessions: int, seconds: int, supervisor: Supervisor) -> Carried:
    """Drive so many sessions for so long."""
    server_core, core = two_cores()
    spool = supervisor.scratch / "spool"
    with Reservation() as held:
        argv = (sys.executable, "-m", "benchmarks.idle_server", str(held.port), "{}")
        log = supervisor.scratch / "server.log"
        server = await supervisor.spawn(ProcessSpec("server", "replica", argv, log, cpus=(server_core,)))
        await wait_for_process(lambda: _answers(held.port), server, "the idle server")
        load = Sessions(concurrent=sessions, duration=f"{seconds}s", warmup=f"{WARM_S}s")
        arm = Arm(Design("idle", BuiltIn("echo", state="none")), "control", load, ())
        log = supervisor.scratch / "driver.log"
        async with start_driver(arm, _USERS, spool=spool, log=log, supervisor=supervisor, seed=1) as driver:
            process = psutil.Process(driver.pid)
            before = process.memory_info().rss
            await driver.wait_until_ready()
            os.sched_setaffinity(driver.pid, {core})
            cpu = _cpu_s(process)
            driver.start(f"http://{LOOPBACK}:{held.port}")
            await asyncio.sleep(seconds - 1)
            try:
                used, memory = _cpu_s(process) - cpu, process.memory_info().rss
            finally:
                await driver.wait_until_stopped()  # which also knows why there is no such process any more
    return _carried(spool, memory, memory - before, used / (seconds - 1), sessions)


def _carried(spool: Path, memory: int, more: int, cpu: float, asked: int) -> Carried:
    requests = read_requests(spool)
    warm = requests[requests["t_intended"] >= WARM_S * 1e9]
    late = (warm["t_sent"] - warm["t_intended"]).to_numpy() / 1e6
    p50, p99, most = (round(float(value), 3) for value in np.percentile(late, [50, 99, 100]))
    sessions, not_ok = int(requests["session"].nunique()), int((requests["outcome"] != "ok").sum())
    return Carried(sessions, len(requests), not_ok, memory, more // asked, p50, p99, most, round(cpu, 3))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _run(sessions: int, seconds: int) -> Carried:
    allow_descriptors(sessions + _SPARE)
    async with start_supervisor("bench-many", {}) as supervisor:
        return await carry(sessions, seconds, supervisor)


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="bench-many", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=30)
    asked, console = parser.parse_args(), Console(stderr=True)
    console.print(f"bench-many: {asked.sessions:,} sessions for {asked.seconds} s")
    try:
        carried = asyncio.run(_run(asked.sessions, asked.seconds))
    except HarnessError as problem:
        console.print(f"bench-many: {problem.message}\n  {problem.hint}", markup=False)
        return problem.code
    table = Table(show_header=False)
    for key, value in asdict(carried).items():
        table.add_row(key, f"{value:,}")
    Console().print(table)
    broken = carried.broken(asked.sessions)
    for told in broken:
        console.print(f"bench-many: {told}")
    print(json.dumps(asdict(carried)))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
