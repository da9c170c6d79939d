"""What faults do to the pods of a real cluster, and to the sessions that they hold."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from harness import faults
from harness.cluster.backends import open_backend
from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.background import background
from harness.common.clock import Clock
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.observations.faults import FaultLog
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.services import BuiltIn
from tests.support.cluster import TOOL

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("cluster")]


@pytest.fixture
async def backend(equipped_cluster: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProcessBackend]:
    monkeypatch.setenv("KUBECONFIG", str(equipped_cluster))
    run = f"pods-{uuid.uuid4().hex[:6]}"
    async with start_supervisor(run) as supervisor, open_backend("kubernetes", supervisor, run) as opened:
        yield opened


@asynccontextmanager
async def shoppers(topology: Topology, number: int) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """Clients with a cookie jar each, who have all put something into their carts."""
    async with AsyncExitStack() as scope:
        clients = [
            await scope.enter_async_context(
                aiohttp.ClientSession(topology.url, cookie_jar=aiohttp.CookieJar(unsafe=True))
            )
            for _ in range(number)
        ]
        for client in clients:
            async with client.post("/cart/add", json={"item": "tea"}) as reply:
                assert reply.status == 200
        yield clients


async def look(client: aiohttp.ClientSession) -> tuple[str, Any]:
    """The pod that answers, and the birth of the session that it has."""
    async with client.get("/cart", headers={"Connection": "close"}) as reply:
        return reply.headers["X-Replica"], (await reply.json())["session"]["birth"]


async def play(topology: Topology, *played: Fault) -> list[Event]:
    """Play faults one right after another; those that are left are undone."""
    clock, events = Clock(), list[Event]()
    clock.t0_ns = time.monotonic_ns()
    async with timeline([At("0s", fault) for fault in played], topology, clock, events.append):
        pass
    return events


async def test_a_pod_has_its_sessions_again_with_its_claim_and_not_without_it(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    waiting = Balancing("cookie", redispatch=False)
    design = Design("pet", BuiltIn(state="eventlog"), waiting, replicas=2)
    async with backend.topology(design, tmp_path, Clock()) as topology, shoppers(topology, 6) as clients:
        before = [await look(client) for client in clients]
        victim = topology.replicas[1].member.name
        assert {pod for pod, _ in before} == {replica.member.name for replica in topology.replicas}

        await play(topology, faults.Kill(1))
        await topology.wait_until_healthy()
        assert [await look(client) for client in clients] == before

        await play(topology, faults.Kill(1), faults.LoseVolume(1))
        await topology.wait_until_healthy()
        after = [await look(client) for client in clients]
        assert [pod for pod, _ in after] == [pod for pod, _ in before]
        kept = [birth == was for (_, birth), (_, was) in zip(after, before, strict=True)]
        assert kept == [pod != victim for pod, _ in before]


async def test_by_its_address_a_load_is_on_one_pod_and_loses_all_with_it(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    design = Design("pinned", BuiltIn(state="memory"), Balancing("source", name="service"), replicas=2)
    async with backend.topology(design, tmp_path, Clock()) as topology, shoppers(topology, 6) as clients:
        before = [await look(client) for client in clients]
        (pod,) = {pod for pod, _ in before}
        number = [replica.member.name for replica in topology.replicas].index(pod)

        await play(topology, faults.Kill(1 - number))
        await topology.wait_until_healthy()
        assert [await look(client) for client in clients] == before

        await play(topology, faults.Kill(number))
        await topology.wait_until_healthy()
        after = [await look(client) for client in clients]
        assert len({pod for pod, _ in after}) == 1
        assert not {birth for _, birth in after} & {birth for _, birth in before}


@pytest.mark.usefixtures("nodes_taken")
async def test_a_drained_node_takes_away_exactly_the_sessions_that_were_on_it(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    design = Design("sticky", BuiltIn(state="memory"), Balancing("cookie"), replicas=2)
    async with backend.topology(design, tmp_path, Clock()) as topology, shoppers(topology, 6) as clients:
        before = [await look(client) for client in clients]
        events = await play(topology, faults.DrainNode(1))
        await topology.wait_until_healthy()
        drained = next(event.detail for event in events if event.kind == "fault_effective")
        kept = {replica.member.name for replica in topology.replicas} & {pod for pod, _ in before}
        assert len(kept) == 2 - int(drained["evicted"] or 0)

        after = [await look(client) for client in clients]
        same = [birth == was for (_, birth), (_, was) in zip(after, before, strict=True)]
        assert same == [pod in kept for pod, _ in before]


@pytest.mark.usefixtures("nodes_taken")
async def test_the_pods_of_a_lost_node_leave_their_service_and_come_back_with_their_sessions(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    design = Design("free", BuiltIn(state="memory"), Balancing("source", name="service"), replicas=2)
    kubelet = faults.Shell(f'{TOOL} signal STOP "$NODE/kubelet"', undo=f'{TOOL} signal CONT "$NODE/kubelet"')
    async with backend.topology(design, tmp_path, Clock()) as topology:
        boots = {replica.boot for replica in topology.replicas}
        events = await play(topology, faults.LoseNode(kubelet))
        lost = next(event.detail for event in events if event.kind == "fault_effective")
        there = str(lost["boots"]).split(",")
        left = [lost[key] for key in lost if key.endswith("_endpoint_left_s")]
        assert set(there) <= boots and len(left) == len(there)
        assert all(isinstance(seconds, float) and seconds > 0 for seconds in (*left, lost["not_ready_s"]))
        assert {replica.boot for replica in topology.replicas} == boots
        await topology.wait_until_healthy()


async def test_an_autoscaler_of_the_cluster_adds_a_pod_under_load_and_removes_one_after_it(
    backend: ProcessBackend, tmp_path: Path
) -> None:
    design = Design("elastic", BuiltIn(state="memory"), Balancing("connection", name="service"), replicas=1)
    scaling = faults.Autoscale(at=0.02, least=1, most=2, lasting="60s", drain=False)  # an idle pod uses a tenth
    async with backend.topology(design, tmp_path, Clock()) as topology, shoppers(topology, 4) as clients:

        async def use_until_grown() -> None:
            while len(topology.replicas) < 2:
                await asyncio.gather(*map(look, clients))

        async with background(use_until_grown()):
            events = await play(topology, scaling)
        log = FaultLog()
        for event in events:
            log.add(event)
        scaled, grown, retired = log.records
        assert (scaled.kind, grown.kind, retired.kind) == ("autoscale", "grow", "retire")
        assert grown.commanded < retired.commanded and retired.evidence["pod_uid"]
        assert (grown.evidence["replicas"], retired.evidence["healed_replicas"]) == (2, 1)
        decisions = str(scaled.evidence["healed_decisions"])
        assert decisions.index("New size: 2; reason: cpu resource") < decisions.index("New size: 1;")
        assert [replica.member.name for replica in topology.replicas] != [retired.evidence["replica"]]
