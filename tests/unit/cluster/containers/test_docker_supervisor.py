"""The dock, on an engine that only remembers."""

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
    async with start_supervisor("dock") as one:
        yield one


@pytest.fixture
async def dock(supervisor: ProcessSupervisor) -> AsyncIterator[DockerSupervisor]:
    async with supervise_containers(engine()[0], supervisor, "run1") as one:
        yield one


@pytest.fixture
def api(dock: DockerSupervisor) -> FakeApi:
    found: FakeApi = dock.engine.client.api  # type: ignore[assignment]  # it is the fake's
    return found


@pytest.fixture
def command(tmp_path: Path) -> ProcessSpec:
    words = (sys.executable, "-m", "targets")
    return ProcessSpec("r1", "replica", words, tmp_path / "r1.log", {"PYTHONPATH": "/here", "A": "b"}, port=4000)


async def test_a_part_is_a_container_with_an_address_a_port_a_log_and_the_runs_label(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await dock.spawn(command)
    (asked,) = api.asked.values()
    assert asked["command"] == ["python", "-m", "targets"]
    assert asked["entrypoint"][-1] == str(command.log)
    assert asked["environment"] == {"A": "b"}
    assert asked["labels"]["session-harness.run"] == "run1"
    assert asked["host_config"]["port_bindings"] == {4000: ("127.0.0.1", 4000)}
    assert {str(command.log.parent), str(dock.scratch)} == set(asked["host_config"]["binds"])
    assert api.networks["c0"] == {"harness-run1-app", "harness-run1-store"}
    ((_, place),) = asked["networking_config"]["EndpointsConfig"].items()
    assert place["ipv4_address"] == dock.address("r1")
    assert child.own_pid == 1 and child.alive and child in dock.children


async def test_each_part_has_an_address_of_its_own_and_keeps_it(dock: DockerSupervisor) -> None:
    addresses = [dock.address("r0"), dock.address("r1"), dock.address("redis", "store")]
    assert len(set(addresses)) == 3
    assert [dock.address("r0"), dock.address("r1"), dock.address("redis", "store")] == addresses
    assert addresses[0].startswith("10.9.") and addresses[2].startswith("10.8.")


async def test_the_store_and_the_balancer_do_not_meet(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await dock.spawn(replace(command, name="redis", role="store"))
    await dock.spawn(replace(command, name="haproxy", role="balancer"))
    assert api.networks["c0"] == {"harness-run1-store"}
    assert api.networks["c1"] == {"harness-run1-app"}


async def test_limits_are_the_containers(dock: DockerSupervisor, api: FakeApi, command: ProcessSpec) -> None:
    await dock.spawn(replace(command, limits=Limits(0.5, "256m")))
    host = api.asked["c0"]["host_config"]
    assert (host["nano_cpus"], host["mem_limit"], host["memswap_limit"]) == (500_000_000, "256m", "256m")


async def test_a_kill_that_was_asked_for_is_evidence_and_no_death(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await dock.spawn(command)
    evidence = await asyncio.wait_for(kill_child(child), SOON)
    assert evidence.confirmed
    assert api.signals == [("c0", signal.SIGKILL)]
    assert await child.wait() == -signal.SIGKILL
    assert dock.deaths.empty() and not child.alive


async def test_a_death_that_nobody_asked_for_is_told(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await dock.spawn(command)
    api.stream.tell("die", "c0", 137)
    death = await asyncio.wait_for(dock.deaths.get(), SOON)
    assert (death.name, death.role, death.code, death.log) == ("r1", "replica", -9, command.log)


async def test_what_ends_before_it_is_known_to_have_started_is_told_as_well(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    api.ends_at_once = True
    child = await dock.spawn(command)
    assert await asyncio.wait_for(child.wait(), SOON) == 3


async def test_a_pause_holds_once_the_engine_says_so(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await dock.spawn(command)
    assert (await pause_child(child)).confirmed and api.paused == {"c0"} and child.state == "T"
    assert (await resume_child(child)).confirmed and not api.paused and child.state != "T"


async def test_a_pause_that_is_cut_off_is_over_before_what_follows_it(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await dock.spawn(command)
    pausing = asyncio.create_task(child.signal(signal.SIGSTOP, group=True))
    await asyncio.sleep(0)
    pausing.cancel()
    await child.signal(signal.SIGCONT, group=True)
    assert not api.paused and child.state != "T"


async def test_a_part_goes_out_of_a_network_and_back(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    await dock.spawn(command)
    assert await dock.disconnect("r1", "store")
    assert api.networks["c0"] == {"harness-run1-app"}
    assert await dock.reconnect("r1", "store")
    assert api.networks["c0"] == {"harness-run1-app", "harness-run1-store"}
    assert not await dock.disconnect("r7", "store")


async def test_what_the_engine_refuses_is_told_with_the_parts_name(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    api.full = True
    with pytest.raises(EnvironmentLacksError, match=r"does not start r1: no space left"):
        await dock.spawn(command)


async def test_a_part_comes_back_only_when_its_address_is_free(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await dock.spawn(command)
    child.end_expected = True
    api.stream.tell("die", "c0")
    await asyncio.wait_for(child.wait(), SOON)
    coming = asyncio.create_task(dock.spawn(command))
    done, _ = await asyncio.wait({coming}, timeout=0.1)
    assert not done and len(api.asked) == 1
    api.stream.tell("destroy", "c0")
    await asyncio.wait_for(coming, SOON)
    assert len(api.asked) == 2


async def test_an_engine_that_tells_no_more_keeps_nobody_waiting(
    dock: DockerSupervisor, api: FakeApi, command: ProcessSpec
) -> None:
    child = await dock.spawn(command)
    api.stream.close()
    death = await asyncio.wait_for(dock.deaths.get(), SOON)
    assert death.name == "r1" and not child.alive
