"""Faults on real parts: each takes effect, is undone, and leaves a healthy topology."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from harness import BuiltIn, faults
from harness.cluster.backends.process import ProcessBackend
from harness.cluster.balancers import SPECS, available
from harness.cluster.replicas.builtin import BuiltinReplica
from harness.cluster.supervisor import start_supervisor
from harness.cluster.supervisor.main import read_stat
from harness.cluster.topology import Topology
from harness.cluster.watch.member_states import watch_member_states
from harness.common.clock import Clock
from harness.common.errors import UntrustedError
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from tests.support.harness_command import ROOT, assert_run_passes, harness

pytestmark = pytest.mark.slow

EACH: tuple[Fault, ...] = (
    faults.Pause(1),
    faults.Slow(1, by="50ms"),
    faults.Terminate(1),
    faults.Terminate(0, drain=False),
    faults.PauseStore(),
    faults.KillStore(),
    faults.Partition("balancer-r1"),
    faults.HoldReplies("store"),
    faults.ResetConnections("r0-store"),
    faults.ReloadBalancer(),
    faults.KillBalancer(),
    faults.CrashLoop(1, every="100ms", times=2),
    faults.RollingDeploy(),
    faults.ScaleOut(to=3),
    faults.ScaleIn(to=2),
)
# The faults that involve the balancer: enough for the other balancers.
BALANCED: tuple[Fault, ...] = (
    faults.Terminate(1),
    faults.ReloadBalancer(),
    faults.KillBalancer(),
    faults.ScaleOut(to=3),
    faults.ScaleIn(to=2),
)


@asynccontextmanager
async def up(logs: Path, balancer: str = "auto") -> AsyncIterator[tuple[Topology, Clock]]:
    if isinstance(available().get(balancer), str):
        pytest.skip(str(available()[balancer]))
    balancing = Balancing("cookie", name=balancer)
    design = Design("plain", BuiltIn(state="redis"), replicas=2, balancing=balancing, links=("balancer", "store"))
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    async with start_supervisor("e2e-faults") as supervisor:
        backend = ProcessBackend(supervisor, "nonce", "secret" * 8)
        async with backend.topology(design, logs, clock) as topology:
            yield topology, clock
            assert supervisor.deaths.empty()


@pytest.mark.parametrize("balancer", sorted(SPECS))
async def test_every_fault_takes_effect_on_real_parts_and_leaves_them_healthy(balancer: str, tmp_path: Path) -> None:
    async with up(tmp_path, balancer) as (topology, clock):
        for fault in EACH if balancer in ("haproxy", "nginx") else BALANCED:
            events: list[Event] = []
            async with timeline([At("0s", fault)], topology, clock, events.append):
                await asyncio.sleep(0.05)
            assert [event.kind for event in events[:3]] == ["fault_commanded", "fault_effective", "fault_healed"], fault
            await topology.wait_until_healthy()


async def test_a_pause_shows_in_the_kernel_and_is_undone_when_the_load_fails(tmp_path: Path) -> None:
    async with up(tmp_path) as (topology, clock):
        pid = topology.replicas[1].pid
        assert pid is not None
        with pytest.raises(UntrustedError, match="broken"):
            async with timeline([At("0s", faults.Pause(1))], topology, clock, lambda event: None):
                await asyncio.sleep(0.1)
                assert (now := read_stat(pid)) is not None and now.state == "T"
                raise UntrustedError("broken")
        assert (now := read_stat(pid)) is not None and now.state != "T"


async def test_a_paused_replica_is_considered_up_at_first(tmp_path: Path) -> None:
    events: list[Event] = []
    async with (
        up(tmp_path, "haproxy") as (topology, clock),
        watch_member_states(topology.balancer, clock, events.append),
    ):
        async with timeline([At("0s", faults.Pause(1))], topology, clock, events.append):
            await asyncio.sleep(3)
        await topology.wait_until_healthy()
        await asyncio.sleep(0.2)
    states = [event.detail["state"] for event in events if event.kind == "member_state" and event.subject == "r1"]
    assert states == ["up", "down", "up"]
    at = {event.kind: event.t for event in events if event.kind != "member_state"}
    down = next(event.t for event in events if event.detail.get("state") == "down")
    assert at["fault_effective"] < down < at["fault_healed"]


async def test_a_throttled_replica_answers_late_until_the_fault_is_undone(tmp_path: Path) -> None:
    async with up(tmp_path) as (topology, _):
        replica = topology.replicas[1]
        assert isinstance(replica, BuiltinReplica)

        async def slowest() -> float:
            loop, longest = asyncio.get_running_loop(), 0.0
            for _ in range(8):
                begin = loop.time()
                assert await replica.health() is not None
                longest = max(longest, loop.time() - begin)
            return longest

        before = await slowest()
        await faults.Slow(1, by="300ms").inject(topology)
        during = await slowest()
        await faults.Slow(1, by="300ms").undo(topology)
        assert during > 0.1 > before or during > 3 * before


def test_a_deploy_loses_exactly_the_sessions_in_memory(tmp_path: Path) -> None:
    scenario = ROOT / "scenarios" / "rolling_deploy.py"
    result = harness("run", scenario, "--quick", "--design", "sticky", "--out", tmp_path)
    assert_run_passes(result, tmp_path / "rolling_deploy" / "latest")
    summary = json.loads((tmp_path / "rolling_deploy" / "latest" / "summary.json").read_text())
    arm = summary["designs"]["sticky"]["arms"]["fault"]
    assert [fault["target"] for fault in arm["faults"]] == ["r0", "r1", "r2"]
    sessions = arm["sessions"]
    assert sessions["lost"] == sessions["at_risk"] == sessions["judged"] > 0
    assert sessions["lost_not_at_risk"] == sessions["at_risk_not_lost"] == 0
    assert set(sessions["lost_by_cause"]) <= {"stopped", "returned_empty"}


async def test_real_replicas_sign_with_a_new_key_and_accept_the_old_one_again_after_the_undo(tmp_path: Path) -> None:
    design = Design("jwt", BuiltIn("login", state="token"), replicas=2, balancing=Balancing("round_robin"))
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    async with (
        start_supervisor("e2e-keys") as supervisor,
        ProcessBackend(supervisor, "nonce", "secret" * 8).topology(design, tmp_path, clock) as topology,
        aiohttp.ClientSession(topology.url) as client,
    ):

        async def status_of(token: str) -> int:
            async with client.get("/me", headers={"Authorization": f"Bearer {token}"}) as reply:
                return reply.status

        async with client.post("/login") as reply:
            token = (await reply.json())["access_token"]
        abrupt = faults.RotateKeys(overlap=False)
        evidence = await abrupt.inject(topology)
        assert evidence.confirmed and evidence.facts["r0"] == evidence.facts["r1"] != evidence.facts["old_key"]
        assert {await status_of(token) for _ in range(4)} == {401}
        await faults.Kill(1).inject(topology)
        assert (await faults.Kill(1).undo(topology)).confirmed
        await topology.wait_until_healthy()
        assert {await status_of(token) for _ in range(4)} == {401}, "a replica that comes back has the new key"
        assert (await abrupt.undo(topology)).confirmed
        assert {await status_of(token) for _ in range(4)} == {200}
