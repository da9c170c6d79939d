"""Checks the accuracy of the driver: compares its percentiles with those of a server whose times are known exactly.

Open Poisson load at 60 % of capacity on a server with constant, bimodal and lognormal service times, and on one that
stalls for one second in every ten. The comparison covers:

- service time, from the actual send: with the server's log, from the arrival of a request to its response;
- latency, from the intended start: with an exact simulation of the queue, fed with the intended arrivals and the
  service times. A driver that sends late, or measures from its sends, would fail this.

Then come the cases of ``disturbed``: what is reported of them is right, a lower bound, or unknown.

Prints a table, and one JSON object as its last line; exit code 1 if an error exceeds its bound.

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
from benchmarks.disturbed import CASES, LENGTH_S, DisturbedTimes, measure
from benchmarks.probes import is_listening
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
WARMUP_S = 1
SEED = 7
KEYS = ("p50", "p90", "p99", "p999", "max")
#: Relative bounds, and the milliseconds that are always allowed.
BOUNDS = {"p50": 0.02, "p90": 0.02, "p99": 0.02, "p999": 0.05}
SLACK_MS = 0.2
_USERS = Path(__file__).with_name("users") / "truth.py"
_CLOSED_SESSIONS = 4


@dataclass(frozen=True)
class Case:
    """A server, and a load on it."""

    name: str
    service: str
    load: Load
    stall_every_ms: int = 0
    stall_ms: int = 0


@dataclass(frozen=True)
class ComparedTimes:
    """The reported and the true percentiles of a case, in milliseconds."""

    case: str
    quantity: str  # service | latency
    reported: Percentiles
    true: Percentiles
    requests: int

    def error(self, key: str) -> float:
        """The relative error of a reported percentile."""
        reported, true = self._pair(key)
        return reported / true - 1

    def holds(self, key: str) -> bool:
        """Whether the error of a percentile is within its bound."""
        reported, true = self._pair(key)
        return key not in BOUNDS or abs(reported - true) <= max(SLACK_MS, BOUNDS[key] * true)

    def _pair(self, key: str) -> tuple[float, float]:
        return float(getattr(self.reported, key)), float(getattr(self.true, key))


def cases(quick: bool) -> Iterator[Case]:
    """All cases. The last has closed load: it shows what a measurement from the send hides."""
    rate, length = UTILISATION * CAPACITY, 5 if quick else 15
    for service in SERVICES:
        yield Case(service, service, Requests(rate, sessions=200, duration=f"{length}s", warmup=f"{WARMUP_S}s"))
    stall_duration = f"{12 if quick else 22}s"
    yield Case(
        "stall", "constant", Requests(rate, sessions=600, duration=stall_duration, warmup=f"{WARMUP_S}s"), 10_000, 1000
    )
    yield Case(
        "stall, closed",
        "constant",
        Sessions(_CLOSED_SESSIONS, duration=stall_duration, warmup=f"{WARMUP_S}s"),
        10_000,
        1000,
    )


async def compare(case: Case, supervisor: Supervisor) -> list[ComparedTimes]:
    """Drive one case, and compare the records with the truth."""
    server_core, core = two_cores()
    spool, log = supervisor.scratch / f"{case.name}.spool", supervisor.scratch / f"{case.name}.log"
    with Reservation() as reservation:
        options = (case.service, SEED, case.stall_every_ms, case.stall_ms, reservation.port, log)
        argv = (sys.executable, "-m", "benchmarks.truth_server", *map(str, options))
        out = supervisor.scratch / "server.out"
        server = await supervisor.spawn(ProcessSpec("server", "replica", argv, out, cpus=(server_core,)))
        await wait_for_process(lambda: is_listening(reservation.port), server, "the truth server")
        _raise_priority(server.pid)
        arm = Arm(Design("truth", BuiltIn("echo", state="none")), "control", case.load, ())
        async with start_driver(
            arm, _USERS, spool=spool, log=supervisor.scratch / "driver.log", supervisor=supervisor, seed=SEED
        ) as driver:
            await driver.wait_until_ready()
            os.sched_setaffinity(driver.pid, {core})
            _raise_priority(driver.pid)
            t0 = driver.start(f"http://{LOOPBACK}:{reservation.port}")
            await driver.wait_until_stopped()
        await server.stop()
    return _evaluate(case, spool, np.fromfile(log, np.int64).reshape(-1, 4), t0)


def _raise_priority(pid: int) -> None:
    """Run a process before other work on this machine, if that is allowed: other work must not affect the result."""
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def _evaluate(case: Case, spool: Path, log: npt.NDArray[np.int64], t0: int) -> list[ComparedTimes]:
    """Compare service times of requests that arrived after the warm-up, and latencies of those intended after it.

    ``log`` has shape (1 + requests, 4), in ns; see ``benchmarks.truth_server``.
    """
    requests = read_requests(spool)
    intended, sent, end = (requests[name].to_numpy() for name in ("t_intended", "t_sent", "t_end"))
    stalls, begin = Stalls(*(int(value) for value in log[0, :3])), round(WARMUP_S * 1e9)
    arrived, _, responded, service = log[1:].T
    warm, counted = sent >= begin, arrived - t0 >= begin
    reported, true = (
        compute_percentiles((end - sent)[warm] / 1e9),
        compute_percentiles((responded - arrived)[counted] / 1e9),
    )
    compared = [ComparedTimes(case.name, "service", reported, true, int(warm.sum()))]
    if isinstance(case.load, Requests):
        arrivals = np.sort(intended)
        expected, measured = arrivals >= begin, intended >= begin
        reported, true = (
            compute_percentiles((end - intended)[measured] / 1e9),
            compute_percentiles(latencies(arrivals + t0, service, stalls)[expected]),
        )
        compared.append(ComparedTimes(case.name, "latency", reported, true, int(measured.sum())))
    return compared


def latencies(
    arrivals: npt.NDArray[np.int64], services: npt.NDArray[np.int64], stalls: Stalls
) -> npt.NDArray[np.float64]:
    """Simulate the queue; returns the seconds from each arrival to the end of its service.

    ``arrivals`` and ``services`` are in ns, with shape (n,), as has the result.
    """
    queue = Queue(stalls)
    ends = [queue.finish(int(a), int(s)) for a, s in zip(arrivals, services, strict=True)]
    return (np.array(ends) - arrivals) / 1e9


async def _run(quick: bool, console: Console) -> tuple[list[ComparedTimes], list[DisturbedTimes]]:
    compared, disturbed = [], []
    async with start_supervisor("bench-truth", {}) as supervisor:
        for case in cases(quick):
            console.print(f"{case.name}: {case.load.duration} of load")
            compared += await compare(case, supervisor)
        for name in CASES:
            console.print(f"{name}: {LENGTH_S}s of load")
            disturbed.append(await measure(name, supervisor))
    return compared, disturbed


def _table(compared: list[ComparedTimes]) -> Table:
    table = Table(title="Milliseconds, reported / true", title_justify="left")
    for index, column in enumerate(("case", "quantity", "requests", *KEYS)):
        table.add_column(column, justify="right" if index > 1 else "left")
    for times in compared:
        cells = [
            f"{getattr(times.reported, key):.2f} / {getattr(times.true, key):.2f}{'' if times.holds(key) else ' !'}"
            for key in KEYS
        ]
        table.add_row(times.case, times.quantity, f"{times.requests:,}", *cells)
    return table


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="bench-truth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    console = Console(stderr=True)
    try:
        compared, disturbed = asyncio.run(_run(parser.parse_args().quick, console))
    except HarnessError as problem:
        console.print(f"bench-truth: {problem.message}\n  {problem.hint}", markup=False)
        return problem.code
    Console().print(_table(compared))
    for case in disturbed:
        Console().print(f"disturbed by {case}", markup=False, highlight=False)
    violations = [(times, key) for times in compared for key in KEYS if not times.holds(key)]
    for times, key in violations:
        console.print(f"bench-truth: {times.case}: {key} of {times.quantity} is off by {times.error(key):+.1%}")
    errors = {
        f"{times.case}, {times.quantity}": {key: round(times.error(key), 4) for key in KEYS} for times in compared
    }
    wrong = {case.case: case.wrong for case in disturbed if case.wrong}
    print(json.dumps({"errors": errors, "within": not violations, "wrong": wrong}))
    return 1 if violations or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
