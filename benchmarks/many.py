"""How many sessions one driver process can carry: tens of thousands, each sending a request every ten seconds.

Prints a table, and one JSON object as its last line; exit code 1 if the driver uses too much memory, sends too late,
or a request fails. When the ephemeral ports of one address run out, the driver uses the next loopback address.

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
from benchmarks.probes import cpu_seconds, is_listening
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

MAX_MEMORY_BYTES = 1.5e9
MAX_LATENESS_MS = 100.0
WARMUP_S = 12  # until every session has sent a request and is connected
_SPARE_DESCRIPTORS = 500
_USERS = Path(__file__).with_name("users") / "idle.py"


@dataclass(frozen=True)
class Result:
    """What the driver did, and what it used."""

    sessions: int  # with at least one request
    requests: int
    not_ok: int
    memory_bytes: int
    bytes_per_session: int
    late_p50_ms: float  # actual minus intended send time, once all are connected
    late_p99_ms: float
    late_max_ms: float
    cpu: float  # cores used by the driver

    def violations(self, expected: int) -> list[str]:
        """A line for each bound that does not hold; ``expected`` is the number of sessions."""
        return [
            violation
            for holds, violation in (
                (self.sessions == expected, f"only {self.sessions:,} of {expected:,} sessions sent a request"),
                (not self.not_ok, f"{self.not_ok:,} requests were not ok"),
                (
                    self.memory_bytes < MAX_MEMORY_BYTES,
                    f"memory is {self.memory_bytes / 1e9:.2f} GB, above {MAX_MEMORY_BYTES / 1e9:g}",
                ),
                (self.late_p99_ms < MAX_LATENESS_MS, f"the p99 of the lateness is {self.late_p99_ms:.1f} ms"),
            )
            if not holds
        ]


def raise_descriptor_limit(number: int) -> None:
    """Raise the limit of open files of this process, which its children inherit.

    Raises:
        EnvironmentLacksError: the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= number:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(number, hard)))
    except (ValueError, OSError) as problem:
        raise EnvironmentLacksError(
            f"{number:,} open files are needed, but only {hard:,} are allowed",
            f"ulimit -n {number}, as root or after raising nofile in /etc/security/limits.conf",
        ) from problem


async def measure(sessions: int, seconds: int, supervisor: Supervisor) -> Result:
    """Drive ``sessions`` sessions for ``seconds`` seconds."""
    server_core, core = two_cores()
    spool = supervisor.scratch / "spool"
    with Reservation() as reservation:
        argv = (sys.executable, "-m", "benchmarks.idle_server", str(reservation.port), "{}")
        log = supervisor.scratch / "server.log"
        server = await supervisor.spawn(ProcessSpec("server", "replica", argv, log, cpus=(server_core,)))
        await wait_for_process(lambda: is_listening(reservation.port), server, "the idle server")
        load = Sessions(concurrent=sessions, duration=f"{seconds}s", warmup=f"{WARMUP_S}s")
        arm = Arm(Design("idle", BuiltIn("echo", state="none")), "control", load, ())
        log = supervisor.scratch / "driver.log"
        async with start_driver(arm, _USERS, spool=spool, log=log, supervisor=supervisor, seed=1) as driver:
            process = psutil.Process(driver.pid)
            before = process.memory_info().rss
            await driver.wait_until_ready()
            os.sched_setaffinity(driver.pid, {core})
            cpu = cpu_seconds(process)
            driver.start(f"http://{LOOPBACK}:{reservation.port}")
            await asyncio.sleep(seconds - 1)
            try:
                used, memory = cpu_seconds(process) - cpu, process.memory_info().rss
            finally:
                await driver.wait_until_stopped()  # which also reports why the process has ended
    return _evaluate(spool, memory, memory - before, used / (seconds - 1), sessions)


def _evaluate(spool: Path, memory: int, more_memory: int, cpu: float, session_count: int) -> Result:
    requests = read_requests(spool)
    warm = requests[requests["t_intended"] >= WARMUP_S * 1e9]
    late = (warm["t_sent"] - warm["t_intended"]).to_numpy() / 1e6
    p50, p99, maximum = (round(float(value), 3) for value in np.percentile(late, [50, 99, 100]))
    sessions, not_ok = int(requests["session"].nunique()), int((requests["outcome"] != "ok").sum())
    return Result(
        sessions, len(requests), not_ok, memory, more_memory // session_count, p50, p99, maximum, round(cpu, 3)
    )


async def _run(sessions: int, seconds: int) -> Result:
    raise_descriptor_limit(sessions + _SPARE_DESCRIPTORS)
    async with start_supervisor("bench-many", {}) as supervisor:
        return await measure(sessions, seconds, supervisor)


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="bench-many", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=30)
    arguments, console = parser.parse_args(), Console(stderr=True)
    console.print(f"bench-many: {arguments.sessions:,} sessions for {arguments.seconds} s")
    try:
        result = asyncio.run(_run(arguments.sessions, arguments.seconds))
    except HarnessError as problem:
        console.print(f"bench-many: {problem.message}\n  {problem.hint}", markup=False)
        return problem.code
    table = Table(show_header=False)
    for key, value in asdict(result).items():
        table.add_row(key, f"{value:,}")
    Console().print(table)
    violations = result.violations(arguments.sessions)
    for violation in violations:
        console.print(f"bench-many: {violation}")
    print(json.dumps(asdict(result)))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
