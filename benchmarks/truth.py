"""Whether the driver tells the truth: its percentiles beside those of a server whose times are known exactly.

Open Poisson load at 60 % of capacity on a server with constant, bimodal and lognormal service times, and on one that
stands still for a second in every ten. What is compared:

- service time, from the actual send: with the server's own log, from a request's arrival to its reply;
- latency, from the intended start: with an exact simulation of the queue, fed with the intended arrivals and the
  service times. A driver that sent late, or measured from its sends, would not show it.

Prints a table, and as its last line one JSON object; exit code 1 where an error is beyond its bound.

    python -m benchmarks.truth [--quick]
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.cores import two_cores
from benchmarks.queueing import CAPACITY, SERVICES, Queue, Stalls
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.cluster.balancers.launch import wait_for_process
from harness.cluster.supervisor import ProcessSpec, Supervisor, start_supervisor
from harness.common.errors import HarnessError
from harness.common.ports import LOOPBACK, Reservation
from harness.results.spool import read_requests
from harness.results.summary import Percentiles
from harness.runner.driver import start_driver
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Load, Requests, Sessions

UTILISATION = 0.6
WARM_S = 1
SEED = 7
KEYS = ("p50", "p90", "p99", "p999", "max")
#: Relative bounds, and the milliseconds that are allowed in any case.
BOUNDS = {"p50": 0.02, "p90": 0.02, "p99": 0.02, "p999": 0.05}
SLACK_MS = 0.2
_USERS = Path(__file__).with_name("users") / "truth.py"
_CLOSED = 4


@dataclass(frozen=True)
class Case:
    """One server and one load on it."""

    name: str
    service: str
    load: Load
    stall_every_ms: int = 0
    stall_ms: int = 0


@dataclass(frozen=True)
class Compared:
    """What was reported of a case and what was true, in milliseconds."""

    case: str
    what: str  # service | latency
    reported: Percentiles
    true: Percentiles
    requests: int

    def error(self, key: str) -> float:
        """Reported against true, relative."""
        reported, true = self._pair(key)
        return reported / true - 1

    def holds(self, key: str) -> bool:
        """Whether the error is within its bound."""
        reported, true = self._pair(key)
        return key not in BOUNDS or abs(reported - true) <= max(SLACK_MS, BOUNDS[key] * true)

    def _pair(self, key: str) -> tuple[float, float]:
        return float(getattr(self.reported, key)), float(getattr(self.true, key))


def cases(quick: bool) -> Iterator[Case]:
    """Everything that is compared. The last is closed load: it shows what measuring from the send hides."""
    rate, length = UTILISATION * CAPACITY, 5 if quick else 15
    for service in SERVICES:
        yield Case(service, service, Requests(rate, sessions=200, duration=f"{length}s", warmup=f"{WARM_S}s"))
    stalled = f"{12 if quick else 22}s"
    yield Case("stall", "constant", Requests(rate, sessions=600, duration=stalled, warmup=f"{WARM_S}s"), 10_000, 1000)
    yield Case("stall, closed", "constant", Sessions(_CLOSED, duration=stalled, warmup=f"{WARM_S}s"), 10_000, 1000)


async def compare(case: Case, supervisor: Supervisor) -> list[Compared]:
    """Drive one case, and hold what the spool says against the truth."""
    server_core, core = two_cores()
    spool, log = supervisor.scratch / f"{case.name}.spool", supervisor.scratch / f"{case.name}.log"
    with Reservation() as held:
        words = (case.service, SEED, case.stall_every_ms, case.stall_ms, held.port, log)
        argv = (sys.executable, "-m", "benchmarks.truth_server", *map(str, words))
        out = supervisor.scratch / "server.out"
        server = await supervisor.spawn(ProcessSpec("server", "replica", argv, out, cpus=(server_core,)))
        await wait_for_process(lambda: _answers(held.port), server, "the truth server")
        _hurry(server.pid)
        arm = Arm(Design("truth", BuiltIn("echo", state="none")), "control", case.load, ())
        async with start_driver(
            arm, _USERS, spool=spool, log=supervisor.scratch / "driver.log", supervisor=supervisor, seed=SEED
        ) as driver:
            await driver.wait_until_ready()
            os.sched_setaffinity(driver.pid, {core})
            _hurry(driver.pid)
            t0 = driver.start(f"http://{LOOPBACK}:{held.port}")
            await driver.wait_until_stopped()
        await server.stop()
    return _compared(case, spool, np.fromfile(log, np.int64).reshape(-1, 4), t0)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


def _hurry(pid: int) -> None:
    """Before the work of others on this machine, where that is allowed: it is not what is measured."""
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def _compared(case: Case, spool: Path, log: npt.NDArray[np.int64], t0: int) -> list[Compared]:
    """Service times of the requests that reached the server after the warm-up, latencies of those meant for then."""
    requests = read_requests(spool)
    intended, sent, end = (requests[name].to_numpy() for name in ("t_intended", "t_sent", "t_end"))
    stalls, begin = Stalls(*(int(value) for value in log[0, :3])), round(WARM_S * 1e9)
    arrived, _, replied, service = log[1:].T
    warm, counted = sent >= begin, arrived - t0 >= begin
    reported, true = (
        compute_percentiles((end - sent)[warm] / 1e9),
        compute_percentiles((replied - arrived)[counted] / 1e9),
    )
    found = [Compared(case.name, "service", reported, true, int(warm.sum()))]
    if isinstance(case.load, Requests):
        arrivals = np.sort(intended)
        meant, measured = arrivals >= begin, intended >= begin
        reported, true = (
            compute_percentiles((end - intended)[measured] / 1e9),
            compute_percentiles(latencies(arrivals + t0, service, stalls)[meant]),
        )
        found.append(Compared(case.name, "latency", reported, true, int(measured.sum())))
    return found


def latencies(
    arrivals: npt.NDArray[np.int64], services: npt.NDArray[np.int64], stalls: Stalls
) -> npt.NDArray[np.float64]:
    """Seconds from each arrival to the end of its service, by simulation."""
    queue = Queue(stalls)
    ends = [queue.finish(int(a), int(s)) for a, s in zip(arrivals, services, strict=True)]
    return (np.array(ends) - arrivals) / 1e9


async def _run(quick: bool, console: Console) -> list[Compared]:
    found = []
    async with start_supervisor("bench-truth", {}) as supervisor:
        for case in cases(quick):
            console.print(f"{case.name}: {case.load.duration} of load")
            found += await compare(case, supervisor)
    return found


def _table(found: list[Compared]) -> Table:
    table = Table(title="Milliseconds, reported / true", title_justify="left")
    for index, column in enumerate(("case", "what", "requests", *KEYS)):
        table.add_column(column, justify="right" if index > 1 else "left")
    for one in found:
        cells = [
            f"{getattr(one.reported, k):.2f} / {getattr(one.true, k):.2f}{'' if one.holds(k) else ' !'}" for k in KEYS
        ]
        table.add_row(one.case, one.what, f"{one.requests:,}", *cells)
    return table


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="bench-truth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    console = Console(stderr=True)
    try:
        found = asyncio.run(_run(parser.parse_args().quick, console))
    except HarnessError as problem:
        console.print(f"bench-truth: {problem.message}\n  {problem.hint}", markup=False)
        return problem.code
    Console().print(_table(found))
    broken = [(one, key) for one in found for key in KEYS if not one.holds(key)]
    for one, key in broken:
        console.print(f"bench-truth: {one.case}: {key} of {one.what} is {one.error(key):+.1%} off")
    errors = {f"{one.case}, {one.what}": {key: round(one.error(key), 4) for key in KEYS} for one in found}
    print(json.dumps({"errors": errors, "within": not broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
