"""The Docker backend on a real engine: the same verdicts, faults that land and are undone, and nothing left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness import BuiltIn, faults
from harness.cluster.backends import open_backend
from harness.cluster.containers import Engine, connect_engine, sweep
from harness.cluster.containers.image import image
from harness.cluster.replicas.builtin import BuiltinReplica
from harness.cluster.supervisor import start_supervisor
from harness.cluster.supervisor.main import processes
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import EnvironmentLacksError
from harness.common.limits import Limits
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.services import Compose, Image
from tests.support.bench import benched
from tests.support.harness_command import NODE_KILL, ROOT, assert_run_passes, harness

pytestmark = [pytest.mark.slow, pytest.mark.long]

GONE_TIMEOUT_S = 20.0  # takes about two seconds on an idle machine
EACH: tuple[Fault, ...] = (
    faults.Kill(1),
    faults.Pause(1),
    faults.Slow(1, by="100ms"),
    faults.Terminate(1),
    faults.PauseStore(),
    faults.KillStore(),
    faults.Partition("r1-store"),
    faults.Partition("balancer-r0"),
    faults.KillBalancer(),
    faults.ScaleOut(to=3),
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    try:
        docker = connect_engine()
        image(docker)
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")
    return docker


@asynccontextmanager
async def up(logs: Path, design: Design) -> AsyncIterator[tuple[Topology, Clock]]:
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    run = uuid.uuid4().hex[:12]
    async with start_supervisor(run) as supervisor, open_backend("docker", supervisor, run) as backend:
        async with backend.topology(design, logs, clock) as topology:
            yield topology, clock
        assert supervisor.deaths.empty()


async def test_every_fault_takes_effect_on_real_containers_and_leaves_them_healthy(
    engine: Engine, tmp_path: Path
) -> None:
    design = Design(
        "plain", BuiltIn(state="redis"), replicas=2, balancing=Balancing("cookie"), links=("balancer", "store")
    )
    async with up(tmp_path, design) as (topology, clock):
        for fault in EACH:
            events: list[Event] = []
            begin = time.monotonic()
            async with timeline([At("0s", fault)], topology, clock, events.append):
                await asyncio.sleep(0.05)
            assert [event.kind for event in events[:3]] == ["fault_commanded", "fault_effective", "fault_healed"], fault
            await topology.wait_until_healthy()
            print(fault, time.monotonic() - begin)


async def test_a_replica_is_kept_to_its_limits_by_the_engine(engine: Engine, tmp_path: Path) -> None:
    design = Design("plain", replicas=1, balancing=Balancing("round_robin"), limits=Limits(cpus=0.5, memory="200m"))
    async with up(tmp_path, design) as (topology, _):
        port = f"{topology.replicas[0].member.port}/tcp"
        containers = engine.client.containers.list(filters={"label": sweep.RUN})
        (limited,) = [container for container in containers if port in container.ports]
        host = limited.attrs["HostConfig"]
        assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 200 << 20, 200 << 20)


async def test_cut_off_from_the_store_a_replica_still_answers_on_its_other_network(
    engine: Engine, tmp_path: Path
) -> None:
    design = Design("plain", BuiltIn(state="redis"), replicas=2, balancing=Balancing("round_robin"), links=("store",))
    async with up(tmp_path, design) as (topology, _):
        replica, partition = topology.replicas[1], faults.Partition("r1-store")
        assert isinstance(replica, BuiltinReplica)
        assert await asks(replica) == 200
        assert (await partition.inject(topology)).confirmed
        assert await replica.health() is not None
        assert await asks(replica) is None
        assert (await partition.undo(topology)).confirmed
        assert await asks(replica) == 200


async def test_a_partition_from_the_store_and_its_healing_are_judged(engine: Engine, tmp_path: Path) -> None:
    design = Design("hybrid", BuiltIn(state="redis"), replicas=2, balancing=Balancing("round_robin"), links=("store",))
    partition = faults.Partition("r1-store")
    played = (At("1s", partition), At("2500ms", faults.Heal(partition)))
    users = ROOT / "scenarios" / "partition.py"
    _, figures = await benched(design, users, played, tmp_path, "5s", backend="docker")
    (fault,) = figures.faults
    assert (fault.kind, fault.target) == ("partition", "r1-store")
    assert fault.effective is not None and fault.healed is not None and 1 < fault.healed - fault.effective < 4
    assert figures.requests.in_doubt > 0  # of those at r1 meanwhile
    assert figures.sessions.judged == figures.sessions.started > 0
    assert figures.sessions.lost == 0
    assert {"r0.log", "r1.log", "redis.log", "haproxy.log"} <= {
        log.name for log in (tmp_path / "observations" / "arm" / "logs").iterdir()
    }


async def asks(replica: BuiltinReplica) -> int | None:
    """The status of a request that needs the store; None where no reply comes within a second."""
    host, port = replica.member.address_from_host
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /cart HTTP/1.0\r\n\r\n")
            status = int((await reader.readline()).split()[1])
            writer.close()
    except TimeoutError:
        return None
    return status


IN_AN_IMAGE = Image(
    "session-harness",
    9000,
    command="python -P -m targets --app=cart --state=memory --host=0.0.0.0 --port={port} --replica={replica}",
    ready="/healthz",
)
COMPOSED = Compose(ROOT / "tests" / "services" / "compose.yaml", service="web", port=8080, ready="/healthz")


@pytest.mark.parametrize("target", [IN_AN_IMAGE, COMPOSED], ids=["image", "compose"])
async def test_a_user_supplied_service_is_killed_and_comes_back_at_its_address(
    engine: Engine, target: Image | Compose, tmp_path: Path
) -> None:
    design = Design("own", target, balancing=Balancing("cookie"), replicas=2)
    started: list[str] = []
    run = uuid.uuid4().hex[:12]
    async with start_supervisor(run) as supervisor, open_backend("docker", supervisor, run) as backend:
        async with backend.topology(
            design, tmp_path, Clock(), on_start=lambda name, boot: started.append(boot)
        ) as topology:
            member = topology.replicas[1].member
            for fault in (faults.Kill(1), faults.Pause(0)):
                assert (await fault.inject(topology)).confirmed
                assert (await fault.undo(topology)).confirmed
                await topology.wait_until_healthy()
            assert topology.replicas[1].member == member
        assert supervisor.deaths.empty()
    assert sorted(started) == ["r0.1", "r1.1", "r1.2"]
    assert '"ready": true' in (tmp_path / "r1.log").read_text()
    assert count_leftovers(engine, run) == 0


async def test_a_service_that_listens_elsewhere_or_ends_is_reported_with_its_output(
    engine: Engine, tmp_path: Path
) -> None:
    wrong = replace(IN_AN_IMAGE, port=9001, ready=None, ready_within="1500ms", command=WRONG_PORT)
    broken = replace(IN_AN_IMAGE, command="sh -c 'echo cannot find my database; exit 3'")
    for target, says in ((wrong, "r0 was not ready within 1500ms: does not listen"), (broken, "find my database")):
        design = Design("own", target, balancing=Balancing("round_robin"), replicas=1)
        with pytest.raises(EnvironmentLacksError, match=says):
            async with up(tmp_path, design):
                pass


WRONG_PORT = "python -P -m targets --app=echo --state=none --host=0.0.0.0 --port=9000"


@pytest.fixture
def held_topology(engine: Engine, tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A harness that holds a topology up, one replica of it paused."""
    run = uuid.uuid4().hex[:12]
    argv = [sys.executable, "-m", "tests.support.docked", run, str(tmp_path)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n", process.stderr and process.stderr.read()
    yield run, process
    process.kill()
    process.communicate()
    sweep.sweep(engine.client, run)


def count_leftovers(engine: Engine, run: str) -> int:
    return sum(map(len, sweep.find_labelled(engine.client, f"{sweep.RUN}={run}")))


def gone(engine: Engine, run: str) -> bool:
    deadline = time.monotonic() + GONE_TIMEOUT_S
    while count_leftovers(engine, run) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not count_leftovers(engine, run)


def test_sigkill_of_the_harness_leaves_no_container_and_no_network(
    engine: Engine, held_topology: tuple[str, "subprocess.Popen[str]"]
) -> None:
    run, process = held_topology
    assert count_leftovers(engine, run) == 3 + 2  # a replica, the store and the balancer; two networks
    process.kill()
    assert gone(engine, run)


@pytest.mark.alone  # what it cleans away may be what another test looks for
def test_what_a_killed_supervisor_leaves_is_cleaned_away_and_nothing_of_the_living(
    engine: Engine, held_topology: tuple[str, "subprocess.Popen[str]"]
) -> None:
    run, process = held_topology
    (supervisor,) = [child.pid for child in processes() if child.parent == process.pid]
    harness("clean")
    assert count_leftovers(engine, run) == 5
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot clean up
    os.kill(supervisor, signal.SIGKILL)
    process.kill()
    process.wait()
    removed = json.loads(harness("clean", "--json").out)
    assert sorted(item["kind"] for item in removed if run in item["what"]) == ["container"] * 3 + ["network"] * 2
    assert gone(engine, run)


def test_the_verdicts_are_those_of_the_process_backend(engine: Engine, tmp_path: Path) -> None:
    designs = ("--design", "sticky", "--design", "hybrid")
    result = harness("run", NODE_KILL, "--quick", "--backend", "docker", *designs, "--out", tmp_path, timeout=400)
    run = tmp_path / "node_kill" / "latest"
    assert_run_passes(result, run)
    summary = json.loads((run / "summary.json").read_text())
    assert {name: design["finding"] for name, design in summary["designs"].items()} == {
        "sticky": "lost",
        "hybrid": "kept",
    }
    sticky = summary["designs"]["sticky"]["arms"]["fault"]["sessions"]
    assert sticky["lost"] == sticky["at_risk"] > 0
    assert {fault["kind"] for fault in summary["designs"]["hybrid"]["arms"]["fault"]["faults"]} == {"kill"}
    assert (run / "observations" / "hybrid-fault" / "logs" / "haproxy.log").exists()
