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
from harness.common.background import background
from harness.common.clock import Clock
from harness.observations.samples import Sample

SAMPLE_INTERVAL_S = 0.5
_MEGA = 1e6


@dataclass(frozen=True)
class _SampledPart:
    role: str
    name: str
    pid: int


class Sampler:
    """Measures the supervisor's children, each with its descendants, and the harness itself."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._samples: list[Sample] = []
        self._cpu_seconds: Mapping[int, float] = {}  # of each part at the last sample, by pid
        self._sampled_at: float | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples so far, in order of time."""
        return tuple(self._samples)

    async def watch(self) -> None:
        """Sample until cancelled."""
        self.sample()
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            self.sample()

    def sample(self) -> None:
        """Measure every part once.

        The first sample is only what the next one is compared with. Nothing is kept until T0 is known.
        """
        now = time.monotonic()
        passed, self._sampled_at = now - (self._sampled_at or now), now
        children, cpu_seconds = _children_by_parent(), {}
        supervised = (_SampledPart(child.role, child.name, child.pid) for child in self._supervisor.children)
        for part in (_SampledPart("harness", "harness", os.getpid()), *supervised):
            family = list(_family(part.pid, children if part.role != "harness" else {}))
            cpu_seconds[part.pid] = sum(_cpu_seconds(process) for process in family)
            cpu = max(0.0, cpu_seconds[part.pid] - self._cpu_seconds.get(part.pid, 0.0))
            memory = sum(_memory(process) for process in family)
            if self._clock.started and passed > 0:
                self._samples.append(Sample(self._clock.seconds(), part.role, part.name, cpu / passed, memory / _MEGA))
        self._cpu_seconds = cpu_seconds


def _children_by_parent() -> Mapping[int, list[int]]:
    # One pass over all processes per sample: psutil's children() would read them all for each part.
    children: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            children.setdefault(process.ppid(), []).append(process.pid)
    return children


def _family(root: int, children: Mapping[int, list[int]]) -> Iterable[psutil.Process]:
    pids = [root]
    for pid in pids:
        pids.extend(children.get(pid, ()))
        with contextlib.suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _cpu_seconds(process: psutil.Process) -> float:
    """Include children that have ended: a part may start a process for every request."""
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
    """Run a sampler for the length of a scope."""
    sampler = Sampler(supervisor, clock)
    async with background(sampler.watch()):
        yield sampler
