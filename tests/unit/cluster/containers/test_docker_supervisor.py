"""The Docker supervisor, on a fake engine that only records what it is asked."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cluster.containers import DockerSupervisor, supervise_containers
from harness.cluster.supervisor import ProcessSpec, ProcessSupervisor, start_supervisor
from harness.cluster.supervisor.signals import kill_child, pause_child, resume_child
from harness.common.errors import EnvironmentLacksError
from harness.common.limits import Limits
from tests.support.docker_engine import FakeApi, engine

SOON = 5.0


@pytest.fixture
async def supervisor() -> AsyncIterator[ProcessSupervisor]:
    async with start_supervisor("docker") as started:
        yield started


@pytest.fixture
async def containers(supervisor: ProcessSupervisor) -> AsyncIterator[DockerSupervisor]:
    async with supervise_containers(engine()[0], supervisor, "run1") as started:
        yield started


@pytest.fixture
def api(containers: DockerSupervisor) -> FakeApi:
    fake: FakeApi = containers.engine.client.api  # type: ignore[assignment]  # the engine is a fake
    return fake


@pytest.fixture
def command(tmp_path: Path) -> ProcessSpec:
    argv = (sys.executable, "-m", "targets")
    return ProcessSpec("r1", "replica", argv, tmp_path / "r1.log", {"PYTHONPATH": "/here", "A": "b"}, port=4000)


async def test_a_part_is_a_container_with_an_address_a_port_a_log_and_the_runs_label(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await containers.spawn(command)
    (options,) = api.created.values()
    assert options["command"] == ["python", "-m", "targets"]
    assert options["entrypoint"][-1] == str(command.log)
    assert options["environment"] == {"A": "b"}
    assert options["labels"]["session-harness.run"] == "run1"
    assert options["host_config"]["port_bindings"] == {4000: ("127.0.0.1", 4000)}
    assert {str(command.log.parent), str(containers.scratch)} == set(options["host_config"]["binds"])
    assert api.networks["c0"] == {"harness-run1-app", "harness-run1-store"}
    ((_, place),) = options["networking_config"]["EndpointsConfig"].items()
    assert place["ipv4_address"] == containers.address("r1")
    assert child.own_pid == 1 and child.alive and child in containers.children


async def test_each_part_keeps_its_own_address(containers: DockerSupervisor) -> None:
    addresses = [containers.address("r0"), containers.address("r1"), containers.address("redis", "store")]
    assert len(set(addresses)) == 3
    assert [containers.address("r0"), containers.address("r1"), containers.address("redis", "store")] == addresses
    assert addresses[0].startswith("10.9.") and addresses[2].startswith("10.8.")


async def test_the_store_and_the_balancer_share_no_network(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await containers.spawn(replace(command, name="redis", role="store"))
    await containers.spawn(replace(command, name="haproxy", role="balancer"))
    assert api.networks["c0"] == {"harness-run1-store"}
    assert api.networks["c1"] == {"harness-run1-app"}


async def test_every_port_of_a_store_is_published_on_loopback(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await containers.spawn(replace(command, role="store", more_ports=(4001, 4002)))
    (options,) = api.created.values()
    published = options["host_config"]["port_bindings"]
    assert published == {port: ("127.0.0.1", port) for port in (4000, 4001, 4002)}
    assert options["ports"] == [4000, 4001, 4002]


async def test_limits_apply_to_the_container(containers: DockerSupervisor, api: FakeApi, command: ProcessSpec) -> None:
    await containers.spawn(replace(command, limits=Limits(0.5, "256m")))
    host = api.created["c0"]["host_config"]
    assert (host["nano_cpus"], host["mem_limit"], host["memswap_limit"]) == (500_000_000, "256m", "256m")


async def test_a_kill_on_purpose_is_confirmed_and_is_not_reported_as_a_death(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await containers.spawn(command)
    evidence = await asyncio.wait_for(kill_child(child), SOON)
    assert evidence.confirmed
    assert api.signals == [("c0", signal.SIGKILL)]
    assert await child.wait() == -signal.SIGKILL
    assert containers.deaths.empty() and not child.alive


async def test_an_unexpected_death_is_reported(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await containers.spawn(command)
    api.stream.emit("die", "c0", 137)
    death = await asyncio.wait_for(containers.deaths.get(), SOON)
    assert (death.name, death.role, death.code, death.log) == ("r1", "replica", -9, command.log)


async def test_a_container_that_ends_during_its_start_is_reported_as_well(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    api.ends_at_once = True
    child = await containers.spawn(command)
    assert await asyncio.wait_for(child.wait(), SOON) == 3


async def test_a_pause_is_confirmed_once_the_engine_reports_it(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await containers.spawn(command)
    assert (await pause_child(child)).confirmed and api.paused == {"c0"} and child.state == "T"
    assert (await resume_child(child)).confirmed and not api.paused and child.state != "T"


async def test_a_cancelled_pause_ends_before_the_next_signal(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await containers.spawn(command)
    pausing = asyncio.create_task(child.signal(signal.SIGSTOP, group=True))
    await asyncio.sleep(0)
    pausing.cancel()
    await child.signal(signal.SIGCONT, group=True)
    assert not api.paused and child.state != "T"


async def test_a_part_is_disconnected_from_a_network_and_connected_again(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await containers.spawn(command)
    assert await containers.disconnect("r1", "store")
    assert api.networks["c0"] == {"harness-run1-app"}
    assert await containers.reconnect("r1", "store")
    assert api.networks["c0"] == {"harness-run1-app", "harness-run1-store"}
    assert not await containers.disconnect("r7", "store")


async def test_a_refusal_of_the_engine_names_the_part(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    api.full = True
    with pytest.raises(EnvironmentLacksError, match=r"does not start r1: no space left"):
        await containers.spawn(command)


async def test_a_part_starts_again_only_when_its_address_is_free(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await containers.spawn(command)
    child.end_expected = True
    api.stream.emit("die", "c0")
    await asyncio.wait_for(child.wait(), SOON)
    starting = asyncio.create_task(containers.spawn(command))
    done, _ = await asyncio.wait({starting}, timeout=0.1)
    assert not done and len(api.created) == 1
    api.stream.emit("destroy", "c0")
    await asyncio.wait_for(starting, SOON)
    assert len(api.created) == 2


async def test_an_engine_that_reports_nothing_more_ends_all_waiting(
    containers: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await containers.spawn(command)
    api.stream.close()
    death = await asyncio.wait_for(containers.deaths.get(), SOON)
    assert death.name == "r1" and not child.alive
