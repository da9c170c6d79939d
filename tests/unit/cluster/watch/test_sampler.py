import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.cluster.supervisor import ProcessSpec, Supervisor, start_supervisor
from harness.cluster.watch.sampler import Sampler
from harness.common.clock import Clock
from harness.common.waiting import wait_until
from harness.observations.samples import Sample

BUSY_BELOW = "import os\nif os.fork():\n    print('up', flush=True); os.wait()\nwhile True: pass"


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("unit-sampler") as started:
        yield started


def of(samples: tuple[Sample, ...], name: str) -> list[Sample]:
    return [sample for sample in samples if sample.name == name]


async def test_work_below_a_child_counts_as_its_own(supervisor: Supervisor, tmp_path: Path) -> None:
    argv = (sys.executable, "-S", "-c", BUSY_BELOW)
    await supervisor.spawn(ProcessSpec("nginx", "balancer", argv, tmp_path / "busy.log"))
    await supervisor.spawn(ProcessSpec("redis", "store", ("sleep", "1000"), tmp_path / "idle.log"))
    sampler = Sampler(supervisor, Clock(0))

    def is_seen_busy() -> bool:
        sampler.sample()
        seen = of(sampler.samples, "nginx")
        return len(seen) > 1 and seen[-1].cpu > 0.05

    assert await wait_until(is_seen_busy, 30, 0.3), "none of its work is counted"
    busy, idle = of(sampler.samples, "nginx")[-1], of(sampler.samples, "redis")[-1]
    assert (busy.role, idle.role) == ("balancer", "store")
    assert idle.cpu < busy.cpu / 2
    assert busy.memory_mb > idle.memory_mb > 0
    assert busy.t - of(sampler.samples, "nginx")[0].t > 0


async def test_the_life_before_the_first_sample_does_not_count(supervisor: Supervisor) -> None:
    sampler = Sampler(supervisor, Clock(0))
    sampler.sample()
    assert sampler.samples == ()
    await asyncio.sleep(0.1)
    sampler.sample()
    (own,) = of(sampler.samples, "harness")
    assert own.cpu < 2 * (os.cpu_count() or 1), "not all that this process ever used"


async def test_the_harness_is_sampled_without_the_parts_below_it(supervisor: Supervisor) -> None:
    sampler = Sampler(supervisor, Clock(0))
    sampler.sample()
    sampler.sample()
    (own,) = of(sampler.samples, "harness")
    assert own.role == "harness"
    assert own.memory_mb > 5
    assert {sample.name for sample in sampler.samples} == {"harness", "machine"}


async def test_nothing_is_kept_before_t0_is_known(supervisor: Supervisor) -> None:
    clock = Clock()
    sampler = Sampler(supervisor, clock)
    sampler.sample()
    assert sampler.samples == ()
    clock.t0_ns = time.monotonic_ns()
    sampler.sample()
    assert len(of(sampler.samples, "harness")) == 1


async def test_a_part_may_end_between_two_samples(supervisor: Supervisor, tmp_path: Path) -> None:
    child = await supervisor.spawn(ProcessSpec("r0", "replica", ("sleep", "1000"), tmp_path / "r0.log"))
    sampler = Sampler(supervisor, Clock(0))
    sampler.sample()
    sampler.sample()
    os.kill(child.pid, 9)  # its end may not have been reported yet at the next sample
    sampler.sample()
    await child.wait()
    sampler.sample()
    assert of(sampler.samples, "r0")
    assert not [sample for sample in of(sampler.samples, "r0") if sample.t == sampler.samples[-1].t]


SHORT_LIVED = """import os, sys, time
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
if not os.fork():
    while time.process_time() < 0.2: pass
    os._exit(0)
os.wait()
print('ended', flush=True)
time.sleep(1000)
"""


async def test_the_cpu_time_of_a_process_that_lived_between_two_samples_counts(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    log, begin = tmp_path / "short.log", tmp_path / "begin"
    argv = (sys.executable, "-S", "-c", SHORT_LIVED, str(begin))
    await supervisor.spawn(ProcessSpec("r0", "replica", argv, log))
    sampler = Sampler(supervisor, Clock(0))
    sampler.sample()
    sampler.sample()
    begin.touch()
    assert await wait_until(lambda: "ended" in log.read_text(), 30, 0.02)
    sampler.sample()
    before, after = of(sampler.samples, "r0")
    assert after.cpu * (after.t - before.t) > 0.15


async def test_all_parts_are_sampled_at_one_time_so_that_their_sum_is_of_it(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    for name in ("r0", "r1"):
        await supervisor.spawn(ProcessSpec(name, "replica", ("sleep", "1000"), tmp_path / f"{name}.log"))
    sampler = Sampler(supervisor, Clock(0))
    sampler.sample()
    sampler.sample()
    assert len({sample.t for sample in sampler.samples}) == 1 and len(sampler.samples) == 4


TWO_HOGS = """import os, threading
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if os.fork() == 0:
    while True: pass
print('up', flush=True)
while True: pass
"""


async def test_a_thread_that_is_ready_and_has_no_core_waits(supervisor: Supervisor, tmp_path: Path) -> None:
    argv = (sys.executable, "-S", "-c", TWO_HOGS)  # two programs on one core: each waits for half of the time
    await supervisor.spawn(ProcessSpec("r0", "replica", argv, tmp_path / "r0.log"))
    await supervisor.spawn(ProcessSpec("redis", "store", ("sleep", "1000"), tmp_path / "idle.log"))
    sampler = Sampler(supervisor, Clock(0))

    def waits() -> bool:
        sampler.sample()
        seen = of(sampler.samples, "r0")
        return bool(seen) and seen[-1].waited > 0.3

    assert await wait_until(waits, 30, 0.3)
    assert of(sampler.samples, "redis")[-1].waited < 0.1
    machine = of(sampler.samples, "machine")[-1]
    assert machine.role == "machine" and machine.memory_mb > 0
    assert machine.cpu >= 0.5 * of(sampler.samples, "r0")[-1].cpu
