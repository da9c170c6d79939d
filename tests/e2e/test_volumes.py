"""A real replica and its volume: what it still has when it comes back, with its log whole, torn or lost."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from harness import BuiltIn, faults
from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.faults.timeline import timeline
from harness.observations.events import Event
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault

pytestmark = pytest.mark.slow

DESIGN = Design("pet", BuiltIn(state="eventlog"), replicas=1, balancing=Balancing("round_robin"))


@asynccontextmanager
async def up(logs: Path) -> AsyncIterator[Topology]:
    async with start_supervisor("e2e-volumes") as supervisor:
        backend = ProcessBackend(supervisor, "nonce", "secret" * 8)
        async with backend.topology(DESIGN, logs, Clock()) as topology:
            yield topology


async def kill_and_restart(topology: Topology, *between: Fault) -> list[Event]:
    """Kill the replica, apply the faults to its volume, and bring it back."""
    clock, events = Clock(), list[Event]()
    clock.t0_ns = time.monotonic_ns()
    played = [At("0s", fault) for fault in (faults.Kill(0), *between, faults.Restart(0))]
    async with timeline(played, topology, clock, events.append):
        pass
    await topology.wait_until_healthy()
    return events


async def test_a_replica_has_again_what_is_on_its_volume(tmp_path: Path) -> None:
    jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
    async with up(tmp_path) as topology, aiohttp.ClientSession(topology.url, cookie_jar=jar) as client:

        async def session(method: str, path: str, **body: object) -> dict[str, object]:
            async with client.request(method, path, json=body or None) as reply:
                assert reply.status == 200
                stored: dict[str, object] = (await reply.json())["session"]
                return stored

        for _ in range(3):
            before = await session("POST", "/cart/add", item="tea")
        events = await kill_and_restart(topology)
        restarted = events[-1].detail
        assert int(restarted["volume_bytes"] or 0) > 0 < float(restarted["opened_s"] or 0)
        assert await session("GET", "/cart") == before

        events = await kill_and_restart(topology, faults.TruncateTail(0, cut=1))
        torn = next(
            event for event in events if event.kind == "fault_effective" and event.detail["kind"] == "torn_tail"
        )
        assert (torn.detail["file"], torn.detail["bytes_cut"]) == ("events", 1)
        session_now = await session("GET", "/cart")
        assert (session_now["birth"], session_now["count"]) == (before["birth"], 2)
        assert "cut off a torn tail" in (tmp_path / "r0.log").read_text()

        await kill_and_restart(topology, faults.LoseVolume(0))
        session_now = await session("GET", "/cart")
        assert session_now["birth"] != before["birth"] and session_now["count"] == 0
