"""Samples of every part and of the machine, twice a second: CPU, memory, and how long threads waited for a core."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import psutil

from harness.cluster.supervisor import Supervisor
from harness.cluster.watch.machine import MachineTimes, read_waits
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


@dataclass(frozen=True)
class _Usage:
    """What a part has used since its start, with all its descendants."""

    cpu: float = 0.0  # seconds
    memory: float = 0.0  # bytes now
    waits: Mapping[int, float] = field(default_factory=dict)  # seconds without a core, by thread

    @classmethod
    def measure(cls, pid: int, children: Mapping[int, list[int]]) -> Self:
        family = list(_family(pid, children))
        waits = {thread: wait for process in family for thread, wait in read_waits(process.pid).items()}
        return cls(sum(map(_cpu_seconds, family)), sum(map(_memory, family)), waits)

    def since(self, before: "_Usage", part: _SampledPart, t: float, passed: float) -> Sample:
        """The use since an earlier measurement, ``passed`` seconds before."""
        waited = sum(wait - before.waits.get(thread, 0.0) for thread, wait in self.waits.items())
        cpu = max(0.0, self.cpu - before.cpu)  # a descendant may have ended
        return Sample(t, part.role, part.name, cpu / passed, self.memory / _MEGA, max(0.0, waited) / passed)


class Sampler:
    """Measures the supervisor's children, each with its descendants, and the harness itself."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._samples: list[Sample] = []
        self._usage: Mapping[_SampledPart, _Usage] = {}  # at the last sample
        self._machine = MachineTimes()
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
        now, t = time.monotonic(), self._clock.seconds() if self._clock.started else 0.0
        passed, self._sampled_at = now - (self._sampled_at or now), now
        children, before = _children_by_parent(), self._usage
        supervised = (_SampledPart(child.role, child.name, child.pid) for child in self._supervisor.children)
        self._usage = {
            part: _Usage.measure(part.pid, children if part.role != "harness" else {})
            for part in (_SampledPart("harness", "harness", os.getpid()), *supervised)
        }
        machine_before, self._machine = self._machine, MachineTimes.read()
        if self._clock.started and passed > 0:
            for part, usage in self._usage.items():
                self._samples.append(usage.since(before.get(part, _Usage()), part, t, passed))
            busy, stolen = self._machine.since(machine_before, passed)
            memory = psutil.virtual_memory().used / _MEGA
            self._samples.append(Sample(t, "machine", "machine", busy, memory, stolen))


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
