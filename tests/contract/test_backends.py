"""What every backend promises, held to processes, to containers and to pods."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.cluster.backends import NAMES, open_backend
from harness.cluster.capabilities import Killable
from harness.cluster.containers import connect_engine
from harness.cluster.containers.image import image
from harness.cluster.replicas.probes import probe
from harness.cluster.supervisor import ProcessSupervisor, start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until
from harness.runner.kubernetes_support import require_cluster
from harness.scenario.cluster_access import DEFAULT_ACCESS
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn

pytestmark = pytest.mark.slow

DESIGN = Design("plain", BuiltIn(state="redis"), replicas=2)
SOON = 20.0  # seconds
MARKS = {
    "docker": [pytest.mark.long, pytest.mark.xdist_group("docker")],
    "kubernetes": [pytest.mark.long, pytest.mark.xdist_group("pods")],
}
Up = tuple[Topology, ProcessSupervisor, Path]


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, pytest.mark.xdist_group(name))) for name in NAMES])
async def up(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Up]:
    try:
        if request.param == "docker":
            image(connect_engine())
        if request.param == "kubernetes":
            request.getfixturevalue("kept_cluster")
            require_cluster(DEFAULT_ACCESS)
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")
    clock, run = Clock(), uuid.uuid4().hex[:12]
    clock.t0_ns = time.monotonic_ns()
    async with (
        start_supervisor(run) as supervisor,
        open_backend(request.param, supervisor, run) as backend,
        backend.topology(DESIGN, tmp_path, clock) as topology,
    ):
        yield topology, supervisor, tmp_path


async def test_parts_answer_are_sampled_and_logged_restart_and_are_reported_when_they_die(up: Up) -> None:
    topology, supervisor, logs = up
    await answers_as_itself(topology)
    await sampled(topology)
    await comes_back(topology)
    await is_missed(topology, supervisor)
    assert {"r0.log", "r1.log", "redis.log"} <= {log.name for log in logs.iterdir()}


async def answers_as_itself(topology: Topology) -> None:
    """Each replica, old or added, is reached from outside and says who it is."""
    await topology.grow()
    for replica in topology.replicas:
        health = await probe(*replica.member.address_from_host)
        assert health is not None
        assert (health.status, health.replica, health.boot) == (200, replica.member.name, replica.boot)
    assert [replica.name for replica in topology.replicas] == ["r0", "r1", "r2"]
    topology.forget("r2")


async def sampled(topology: Topology) -> None:
    """Every role shows in the samples, with memory."""

    def sampled_roles() -> set[str]:
        return {sample.role for sample in topology.samples if sample.memory_mb > 0}

    assert await wait_until(lambda: sampled_roles() >= {"replica", "balancer", "store"}, SOON, 0.05), sampled_roles()


async def comes_back(topology: Topology) -> None:
    """A killed replica is down; restarted, it has a new boot id, and the same address unless it is another pod."""
    replica = topology.replicas[1]
    assert isinstance(replica, Killable)
    member, boot = replica.member, replica.boot
    assert (await replica.kill()).confirmed
    assert replica.pid is None and await probe(*member.address_from_host) is None
    assert (await replica.restart()).confirmed
    assert replica.boot != boot
    assert replica.member == member or replica.member.name != member.name
    await topology.wait_until_healthy()


async def is_missed(topology: Topology, supervisor: ProcessSupervisor) -> None:
    """An unexpected death is reported with the signal."""
    assert supervisor.deaths.empty()
    pid = topology.replicas[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    death = await asyncio.wait_for(supervisor.deaths.get(), SOON)
    assert (death.name, death.role, death.code) == ("r0", "replica", -signal.SIGKILL)
