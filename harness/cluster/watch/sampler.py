"""Samples of CPU and memory of every part, twice a second."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from harness.cluster.supervisor import Supervisor
from harness.common.clock import Clock
from harness.observations.samples import Sample

SAMPLE_INTERVAL_S = 0.5  # seconds
_MEGA = 1e6


@dataclass(frozen=True)
class _SampledPart:
    role: str
    name: str
    pid: int


class Sampler:
    """Measures the supervisor's children, each with the processes below it, and the harness itself."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._samples: list[Sample] = []
        self._used: Mapping[int, float] = {}  # CPU seconds of each part, by its pid, when it was last looked at
        self._looked = time.monotonic()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All so far, in order of time."""
        return tuple(self._samples)

    async def watch(self) -> None:
        """Sample until cancelled; nothing is kept before T0 is known."""
        self.sample()
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            self.sample()

    def sample(self) -> None:
        """Look at every part once."""
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        below, used = _children_of_all(), {}
        for part in self._parts():
            family = list(_family(part.pid, below if part.role != "harness" else {}))
            used[part.pid] = sum(_cpu_seconds(process) for process in family)
            cpu = max(0.0, used[part.pid] - self._used.get(part.pid, 0.0))
            memory = sum(_memory(process) for process in family)
            if self._clock.started and passed > 0:
                self._samples.append(Sample(self._clock.seconds(), part.role, part.name, cpu / passed, memory / _MEGA))
        self._used = used

    def _parts(self) -> Iterable[_SampledPart]:
        yield _SampledPart("harness", "harness", os.getpid())
        for child in self._supervisor.children:
            yield _SampledPart(child.role, child.name, child.pid)


def _children_of_all() -> Mapping[int, list[int]]:
    # Once a round over all processes: asking psutil part by part would read them all each time.
    below: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            below.setdefault(process.ppid(), []).append(process.pid)
    return below


def _family(root: int, below: Mapping[int, list[int]]) -> Iterable[psutil.Process]:
    pids = [root]
    for pid in pids:
        pids.extend(below.get(pid, ()))
        with contextlib.suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _cpu_seconds(process: psutil.Process) -> float:
    """Its own, and those of its children that have ended: a part may start a process for every request."""
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _memory(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0


@asynccontextmanager
async def start_sampler(supervisor: Supervisor, clock: Clock) -> AsyncIterator[Sampler]:
    """A sampler at work for the length of a scope."""
    sampler = Sampler(supervisor, clock)
    watching = asyncio.create_task(sampler.watch())
    try:
        yield sampler
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
