"""Three disturbances of a measurement, of which none may give wrong times without notice.

A server that hangs, a load process that is stopped for two seconds, and two busy programs on the same cores. What the
harness reports must be right, or a lower bound, or its times must be unknown.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.probes import is_listening
from benchmarks.queueing import CAPACITY, Queue
from harness.analysis.metrics.fold import fold
from harness.analysis.metrics.percentiles import compute_percentiles
from harness.cluster.balancers.launch import wait_for_process
from harness.cluster.supervisor import ProcessSpec, Supervisor
from harness.cluster.watch.sampler import start_sampler
from harness.common.background import background
from harness.common.clock import Clock
from harness.common.ports import LOOPBACK, Reservation
from harness.load.arrivals.pacer import poisson
from harness.observations.load_requests import LoadRequests
from harness.results.arm_files import ArmObservations
from harness.results.spool import read_requests
from harness.results.summary import ArmFigures, Percentiles
from harness.runner.driver import start_driver
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Requests

RATE = 0.6 * CAPACITY
LENGTH_S, WARMUP_S = 8, 1
SEED = 7
#: A percentile is right if the truth is at least this share of it: the check of the driver promises no more.
RIGHT = 0.5
SLACK_MS = 1.0
KEYS = ("p50", "p90", "p99")
_USERS = Path(__file__).with_name("users") / "truth.py"
_HANG_AT_S = 4.0
_STOP_AT_S, _STOPPED_S = 3.0, 2.0
_HOGS = 2

Disturb = Callable[[int, int], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class DisturbedTimes:
    """What was reported of a disturbed case, and the truth; times in milliseconds."""

    case: str
    arm: ArmFigures
    true: Percentiles
    offered: int  # in the measured time
    ok: int  # as recorded, warm-up included
    answered: int  # as the server says, warm-up included

    @property
    def unknown(self) -> bool:
        """Whether the harness says that the times do not count."""
        return not self.arm.times_trusted

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is reported as if it were certain, and is not so."""
        reported = self.arm.latency_ms
        counts = {"attempted": (self.arm.requests.attempted, self.offered), "ok": (self.ok, self.answered)}
        wrong = [f"{name} is {got}, not {truth}" for name, (got, truth) in counts.items() if got != truth]
        for key in filter(self.arm.trusts, KEYS):
            got, truth = float(getattr(reported, key)), float(getattr(self.true, key))
            too_high = truth < RIGHT * got - SLACK_MS
            too_low = RIGHT * truth > got + SLACK_MS and not self.arm.latency_is_lower_bound
            if too_high or too_low:
                wrong.append(f"{key} is {got:.1f} ms, not {truth:.1f} ms")
        return tuple(wrong)

    def __str__(self) -> str:
        bound, reported = ">= " if self.arm.latency_is_lower_bound else "", self.arm.latency_ms
        times = ", ".join(f"{key} {bound}{getattr(reported, key):.2f} / {getattr(self.true, key):.2f}" for key in KEYS)
        starved = ["a target was short of a core"] if self.arm.resources.starved else []
        doubts, requests = "; ".join([*self.arm.driver.doubts, *starved]), self.arm.requests
        counts = f"{requests.ok} of {requests.attempted} ok, {requests.dropped} dropped"
        verdict = f"WRONG: {'; '.join(self.wrong)}" if self.wrong else f"unknown: {doubts}" if self.unknown else "right"
        return f"{self.case}: {counts}; {times}; {verdict}"


@asynccontextmanager
async def _stop_process(pid: int, at_s: float, for_s: float) -> AsyncIterator[None]:
    async def stop_and_continue() -> None:
        await asyncio.sleep(at_s)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(for_s)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async with background(stop_and_continue()):
        yield


@asynccontextmanager
async def _run_hogs() -> AsyncIterator[None]:
    """Two busy programs on the cores of the measurement; they end by themselves too."""
    busy = f"import time\nend = time.monotonic() + {2 * LENGTH_S}\nwhile time.monotonic() < end: pass"
    hogs = [await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", busy) for _ in range(_HOGS)]
    try:
        yield
    finally:
        for hog in hogs:
            with suppress(ProcessLookupError):
                hog.kill()
            await hog.wait()


#: What is done to the load process or the server, given the ids of both, or to the machine.
CASES: dict[str, Disturb] = {
    "a server that hangs": lambda driver, server: _stop_process(server, _HANG_AT_S, 3600),
    "a driver that is stopped": lambda driver, server: _stop_process(driver, _STOP_AT_S, _STOPPED_S),
    "two hogs": lambda driver, server: _run_hogs(),
}


async def measure(name: str, supervisor: Supervisor) -> DisturbedTimes:
    """Drive one case, and compare what is reported with the truth."""
    load = Requests(RATE, sessions=200, duration=f"{LENGTH_S}s", warmup=f"{WARMUP_S}s")
    arm = Arm(Design("truth", BuiltIn("echo", state="none")), "control", load, ())
    place = supervisor.scratch / name.replace(" ", "-")
    place.mkdir()
    log, clock = place / "server.log", Clock()
    with Reservation() as reservation:
        options = ("constant", SEED, 0, 0, reservation.port, log)
        argv = (sys.executable, "-m", "benchmarks.truth_server", *map(str, options))
        server = await supervisor.spawn(ProcessSpec("server", "replica", argv, place / "server.out"))
        await wait_for_process(lambda: is_listening(reservation.port), server, "the truth server")
        spool, driver_log = place / "spool", place / "driver.log"
        async with (
            start_driver(arm, _USERS, spool=spool, log=driver_log, supervisor=supervisor, seed=SEED) as driver,
            start_sampler(supervisor, clock) as sampler,
        ):
            await driver.wait_until_ready()
            clock.t0_ns = driver.start(f"http://{LOOPBACK}:{reservation.port}")
            async with CASES[name](driver.pid, server.pid):
                await driver.wait_until_stopped()
                server.end_expected = True
                os.kill(server.pid, signal.SIGTERM)  # before it goes on: it answers no further request
        await server.stop()
    observed = ArmObservations(
        design="truth",
        arm="control",
        requests=read_requests(spool),
        events=(),
        samples=sampler.samples,
        judgements=(),
        warmup=float(WARMUP_S),
        duration=float(LENGTH_S),
        driver=asdict(driver.snapshots[-1]),
    )
    return _evaluate(name, observed, np.fromfile(log, np.int64).reshape(-1, 4))


def _evaluate(name: str, observed: ArmObservations, log: npt.NDArray[np.int64]) -> DisturbedTimes:
    """``log`` has shape (1 + requests, 4), in ns; see ``benchmarks.truth_server``. Every service takes equally long."""
    arrivals = np.array(list(takewhile(lambda t: t < LENGTH_S * 10**9, poisson(RATE, SEED))))
    queue, service, hangs = Queue(), int(log[1, 3]), name == "a server that hangs"
    ends = np.array([queue.finish(int(arrival), service) for arrival in arrivals])
    served = ends < _HANG_AT_S * 1e9 if hangs else np.ones(len(ends), dtype=bool)
    measured = arrivals >= WARMUP_S * 10**9
    latencies = ((ends - arrivals) / 1e9)[measured & served]
    true = compute_percentiles(latencies, slower=int((measured & ~served).sum()))
    ok = int(LoadRequests.select(observed.requests).ok.sum())
    return DisturbedTimes(name, fold(observed), true, int(measured.sum()), ok, len(log) - 1)
