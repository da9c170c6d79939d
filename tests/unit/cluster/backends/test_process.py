import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.backends.routes import routes
from harness.cluster.capabilities import Killable, Member, Pausable, Refusal, Replica
from harness.cluster.replicas.builtin import BuiltinReplica
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import EnvironmentLacksError, UntrustedError, UsageError
from harness.common.ports import Reservation
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from tests.support.clocks_and_topology import FakeStore

STANDIN = Path(__file__).parents[3] / "support" / "standin"
DESIGN = Design("plain", BuiltIn(service_time="20ms", slots=3), replicas=2)


@dataclass
class FirstReplica:
    """A balancer whose address is that of the first replica; the test sets the states that it reports."""

    url: str
    believed: dict[str, str] = field(default_factory=dict)
    name: str = "first"
    pid: int | None = None

    async def add(self, member: Member) -> None: ...

    async def remove(self, name: str) -> None: ...

    async def drain(self, name: str) -> None: ...

    async def states(self) -> Mapping[str, str]:
        return self.believed

    def refusals(self) -> tuple[Refusal, ...]:
        return ()


@asynccontextmanager
async def first_replica(
    balancing: Balancing, members: Sequence[Member], supervisor: Supervisor, *, scratch: Path, logs: Path, port: int
) -> AsyncIterator[FirstReplica]:
    assert scratch.is_dir()  # noqa: ASYNC240 - a test may wait for the disk
    assert logs.is_dir()  # noqa: ASYNC240
    yield FirstReplica(f"http://{members[0].host}:{members[0].port}")


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("unit-topology") as started:
        yield started


@pytest.fixture
def backend(supervisor: Supervisor) -> ProcessBackend:
    return ProcessBackend(supervisor, "nonce", "secret", first_replica, STANDIN)


@pytest.fixture
async def topology(backend: ProcessBackend, tmp_path: Path) -> AsyncIterator[Topology]:
    async with backend.topology(DESIGN, tmp_path, Clock()) as up:
        yield up


def alive(supervisor: Supervisor) -> list[str]:
    return [child.name for child in supervisor.children]


async def test_every_part_is_up_and_goes_down_with_the_scope(
    supervisor: Supervisor, backend: ProcessBackend, tmp_path: Path
) -> None:
    async with backend.topology(DESIGN, tmp_path, Clock()) as topology:
        assert alive(supervisor) == ["r0", "r1"]
        assert [replica.name for replica in topology.replicas] == ["r0", "r1"]
        assert len({replica.boot for replica in topology.replicas}) == 2
        assert topology.pids()["replica"] == tuple(replica.pid for replica in topology.replicas)
        assert topology.store is None
    assert alive(supervisor) == []
    assert supervisor.deaths.empty()


async def test_a_port_may_come_again_in_one_run(backend: ProcessBackend, tmp_path: Path) -> None:
    """The system gives away a port that was let go; the balancer before has left nothing there."""
    with Reservation() as free:
        port = free.port
    for run in ("first", "second"):
        async with backend.topology(DESIGN, tmp_path / run, Clock(), port) as topology:
            assert len(topology.replicas) == 2


async def test_an_exception_inside_the_scope_takes_everything_down(
    supervisor: Supervisor, backend: ProcessBackend, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with backend.topology(DESIGN, tmp_path, Clock()):
            raise ZeroDivisionError
    assert alive(supervisor) == []


async def test_a_state_with_a_store_gets_one_before_its_replicas(
    supervisor: Supervisor, backend: ProcessBackend, tmp_path: Path
) -> None:
    async with backend.topology(replace(DESIGN, target=BuiltIn(state="redis")), tmp_path, Clock()) as topology:
        assert alive(supervisor) == ["redis", "r0", "r1"]
        assert topology.store is not None
        argv = await health_field(topology, "argv")
        assert f"--store={topology.store.url}" in argv


async def health_field(topology: Topology, key: str, number: int = 1) -> str:
    member = topology.replicas[number].member
    reader, writer = await asyncio.open_connection(member.host, member.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    body = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    return str(json.loads(body)[key])


async def test_the_command_line_says_what_the_wire_asks_for(topology: Topology, tmp_path: Path) -> None:
    member = topology.replicas[1].member
    words = (await health_field(topology, "argv")).split()
    expected = "app=cart state=memory host=127.0.0.1 replica=r1 nonce=nonce secret=secret service-time=20ms slots=3"
    assert {f"--{word}" for word in expected.split()} <= set(words)
    assert f"--port={member.port}" in words
    assert f"--journal={tmp_path / 'journal.jsonl'}" in words
    assert not [word for word in words if word.startswith(("--store", "--option"))]


async def flag(topology: Topology, number: int, name: str) -> str:
    words = (await health_field(topology, "argv", number)).split()
    return next(word.removeprefix(f"--{name}=") for word in words if word.startswith(f"--{name}="))


async def test_each_replica_has_its_own_volume_which_outlives_it_and_ends_with_the_topology(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    async with backend.topology(DESIGN, tmp_path, Clock()) as topology:
        first, second = [Path(await flag(topology, number, "volume")) for number in (0, 1)]
        assert first.is_dir() and second.is_dir() and first != second
        (second / "kept").touch()
        await the(topology, 1).kill()
        await the(topology, 1).restart()
        assert Path(await flag(topology, 1, "volume")) == second
        assert (second / "kept").exists()
    assert not second.exists()


async def test_a_volume_can_be_lost_or_torn_while_its_replica_is_down(topology: Topology) -> None:
    replica, volume = the(topology, 1), Path(await flag(topology, 1, "volume"))
    (volume / "kept").write_bytes(b"x" * 100)
    for damage in (replica.lose_volume, lambda: replica.tear_volume(10)):
        assert not (await damage()).confirmed
    assert (volume / "kept").stat().st_size == 100
    await replica.kill()
    torn = await replica.tear_volume(10)
    assert (torn.confirmed, torn.facts) == (True, {"file": "kept", "bytes_cut": 10, "bytes_left": 90})
    lost = await replica.lose_volume()
    assert (lost.confirmed, lost.facts) == (True, {"files": 1, "bytes": 90})
    assert not (volume / "kept").exists()
    (volume / "kept").write_bytes(b"x" * 7)
    restarted = await replica.restart()
    assert restarted.facts["volume_bytes"] == 7
    assert float(restarted.facts["ready_s"] or 0) > 0
    assert restarted.facts["opened_s"] == 0.25


async def test_the_replicas_know_their_peers_and_one_that_is_added_knows_them_all(topology: Topology) -> None:
    def known(number: int) -> str:
        members = [replica.member for replica in topology.replicas[:number]]
        return ",".join(f"{member.name}={member.host}:{member.port}" for member in members)

    assert [await flag(topology, number, "peers") for number in (0, 1)] == [known(2)] * 2
    await topology.grow()
    assert await flag(topology, 2, "peers") == known(3)
    await the(topology, 0).kill()
    await the(topology, 0).restart()
    assert await flag(topology, 0, "peers") == known(3)
    assert await flag(topology, 2, "volume") != await flag(topology, 0, "volume")


def the(topology: Topology, number: int) -> BuiltinReplica:
    replica = topology.replicas[number]
    assert isinstance(replica, BuiltinReplica)
    return replica


async def test_kill_and_restart_bring_another_boot_at_the_same_address(topology: Topology) -> None:
    replica = the(topology, 1)
    before, member = replica.boot, replica.member
    killed = await replica.kill()
    assert killed.confirmed
    assert killed.facts["boot"] == before
    assert replica.pid is None
    assert await replica.health() is None
    restarted = await replica.restart()
    assert restarted.confirmed
    assert (restarted.facts["old_boot"], restarted.facts["boot"]) == (before, replica.boot)
    assert before != replica.boot
    assert replica.member == member


async def test_restart_of_one_that_runs_changes_nothing(topology: Topology) -> None:
    replica = the(topology, 0)
    boot, pid = replica.boot, replica.pid
    assert (await replica.restart()).confirmed
    assert (replica.boot, replica.pid) == (boot, pid)


async def test_a_replica_has_its_abilities(topology: Topology) -> None:
    for ability in (Replica, Killable, Pausable):
        assert isinstance(topology.replicas[0], ability)


@pytest.mark.slow  # it takes seconds
async def test_a_paused_replica_makes_the_topology_unhealthy_and_is_named(topology: Topology) -> None:
    assert (await the(topology, 1).pause()).confirmed
    with pytest.raises(UntrustedError, match="r1 does not answer"):
        await topology.wait_until_healthy(0.05)
    assert (await the(topology, 1).resume()).confirmed
    await topology.wait_until_healthy()


async def test_a_topology_whose_balancer_considers_a_replica_down_is_not_healthy(topology: Topology) -> None:
    assert isinstance(topology.balancer, FirstReplica)
    topology.balancer.believed.update(r0="up", r1="down")
    with pytest.raises(UntrustedError, match="first considers r1 down"):
        await topology.wait_until_healthy(0.05)
    topology.balancer.believed["r1"] = "up"
    await topology.wait_until_healthy()


async def test_a_replica_that_ends_at_once_is_reported_with_its_last_output_and_takes_the_others_down(
    supervisor: Supervisor, backend: ProcessBackend, tmp_path: Path
) -> None:
    design = replace(DESIGN, target=BuiltIn(options={"exit": "no such state"}))
    with pytest.raises(EnvironmentLacksError, match="no such state"):
        async with backend.topology(design, tmp_path, Clock()):
            pass
    assert alive(supervisor) == []


async def test_another_service_at_the_port_is_refused(
    supervisor: Supervisor, backend: ProcessBackend, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentLacksError, match=r"answers, but not as r[012] of this run"):
        async with backend.topology(replace(DESIGN, target=BuiltIn(options={"nonce": "other"})), tmp_path, Clock()):
            pass
    assert alive(supervisor) == []


async def test_another_service_behind_the_balancer_is_refused(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Topology.wait_until_healthy, "__defaults__", (0.05,))
    async with ProcessBackend(supervisor, "other", "secret", first_replica, STANDIN).topology(
        DESIGN, tmp_path / "other", Clock()
    ) as other:

        @asynccontextmanager
        async def balancer_of_another_run(*_args: object, **_kwargs: object) -> AsyncIterator[FirstReplica]:
            yield FirstReplica(other.url)

        mine = ProcessBackend(supervisor, "nonce", "secret", balancer_of_another_run, STANDIN)
        with pytest.raises(UntrustedError, match="first answers, but not with this run"):
            async with mine.topology(DESIGN, tmp_path / "mine", Clock()):
                pass


def test_a_link_to_a_store_of_several_servers_is_refused() -> None:
    linked = Design("d", BuiltIn(state="etcd"), links=("store",))
    several = FakeStore(name="etcd", url="etcd://127.0.0.1:1,127.0.0.1:2")
    with Reservation() as port:
        assert [route.target for route in routes(linked, [port], FakeStore(url="redis://127.0.0.1:7/0"))] == [7]
        with pytest.raises(UsageError, match="etcd has 2"):
            list(routes(linked, [port], several))
