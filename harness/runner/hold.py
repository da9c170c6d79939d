"""The topology held by ``harness up``, and the socket by which ``harness kill`` reaches it from another terminal.

The socket lies in the supervisor's scratch directory: only this user can reach it, its path cannot be guessed, and it
goes away with that directory, whatever happens to the harness.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from harness.cluster.backends import open_backend
from harness.cluster.capabilities import Killable
from harness.cluster.leftovers import scratch_directories
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import EnvironmentLacksError, HarnessError, UsageError
from harness.faults.fault import require_capability
from harness.results.run import new_run_id
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess
from harness.scenario.design import Design

_SOCKET = "up.sock"
_CONNECT_TIMEOUT_S = 2.0
#: A restart waits until the replica is ready.
_ANSWER_TIMEOUT_S = 90.0
_REQUEST_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class HoldRequest:
    """What ``harness kill`` asks for."""

    action: Literal["kill", "restart"]
    replica: str


@dataclass(frozen=True)
class HeldTopology:
    """A topology that is up, with the directory of its logs."""

    topology: Topology
    logs: Path


@asynccontextmanager
async def hold_topology(
    design: Design, port: int = 0, backend: str = "process", access: ClusterAccess = DEFAULT_ACCESS
) -> AsyncIterator[HeldTopology]:
    """Bring up a design, and answer ``harness kill`` while the scope is open.

    In pods, the balancer has a port of its own: ``port`` is 0.

    Raises:
        EnvironmentLacksError: another topology is held.
    """
    if await _connect() is not None:
        raise EnvironmentLacksError("another topology is held already", "end the other `harness up` first")
    run_id = new_run_id()
    async with (
        start_supervisor(run_id) as supervisor,
        open_backend(backend, supervisor, run_id, access) as opened_backend,
    ):
        logs = supervisor.scratch / "logs"
        logs.mkdir()
        async with (
            opened_backend.topology(design, logs, Clock(), port) as topology,
            answer_requests(topology, supervisor.scratch),
        ):
            yield HeldTopology(topology, logs)


@asynccontextmanager
async def answer_requests(topology: Topology, directory: Path) -> AsyncIterator[None]:
    """Answer ``harness kill`` on a socket in a directory, for the length of a scope."""
    path = str(directory / _SOCKET)
    async with await asyncio.start_unix_server(lambda reader, writer: _serve(topology, reader, writer), path=path):
        yield


async def request(action: Literal["kill", "restart"], replica: str) -> dict[str, object]:
    """Ask the held topology to ``kill`` or ``restart`` a replica. Returns the evidence.

    Raises:
        UsageError: no topology is held, or the action had no effect.
        EnvironmentLacksError: the topology does not answer.
    """
    connection = await _connect()
    if connection is None:
        raise UsageError("no topology is held up", "harness up SCENARIO --design NAME, in another terminal")
    reader, writer = connection
    try:
        writer.write(msgspec.json.encode(HoldRequest(action, replica)) + b"\n")
        line = await asyncio.wait_for(reader.readline(), _ANSWER_TIMEOUT_S)
        answer = msgspec.json.decode(line, type=dict[str, object])
    except (OSError, TimeoutError, ValueError) as problem:
        raise EnvironmentLacksError("the held topology does not answer", "end its `harness up`") from problem
    finally:
        writer.close()
    if "error" in answer:
        raise UsageError(str(answer["error"]), str(answer.get("hint", "")))
    return answer


async def _connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """A connection to the topology that this user holds; None without one."""
    for directory in scratch_directories():
        try:
            opening = asyncio.open_unix_connection(str(directory / _SOCKET))
            return await asyncio.wait_for(opening, _CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError):  # none, or what a crash left
            continue
    return None


async def _serve(topology: Topology, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        line = await asyncio.wait_for(reader.readline(), _REQUEST_TIMEOUT_S)
        if line:
            answer = await _perform(topology, msgspec.json.decode(line, type=HoldRequest))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    except (OSError, TimeoutError, ValueError):
        pass  # whatever connected spoke no request, or did not wait for its answer
    finally:
        writer.close()


async def _perform(topology: Topology, wanted: HoldRequest) -> dict[str, object]:
    try:
        part = require_capability(topology, wanted.replica, Killable)
        evidence = await (part.kill() if wanted.action == "kill" else part.restart())
    except HarnessError as problem:
        names = ", ".join(replica.name for replica in topology.replicas)
        return {"error": problem.message, "hint": problem.hint or f"it has {names}"}
    if not evidence.confirmed:
        reason = evidence.facts.get("reason", "it had no effect")
        return {"error": f"no {wanted.action} of {wanted.replica}: {reason}", "hint": "harness kill r1 --restart"}
    answer: dict[str, object] = {**evidence.facts, "replica": wanted.replica, "landed": True}
    return {**answer, "pod": evidence.facts["replica"]} if "pod_uid" in evidence.facts else answer
