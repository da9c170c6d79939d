"""The topology held by ``harness up``, and the socket by which ``harness kill`` reaches it from another terminal."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.cluster.backends import open_backend
from harness.cluster.capabilities import Killable
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import EnvironmentLacksError, HarnessError, UsageError
from harness.faults.fault import require_capability
from harness.results.run import new_run_id
from harness.scenario.design import Design


def control_socket_path() -> Path:
    """The socket of this user's held topology."""
    return Path(tempfile.gettempdir()) / f"harness-up-{os.getuid()}.sock"


@asynccontextmanager
async def hold_topology(design: Design, logs: Path, port: int = 0, backend: str = "process") -> AsyncIterator[Topology]:
    """Bring up a design, and answer ``harness kill`` and ``harness restart`` while the scope is open."""
    if await _is_held():
        raise EnvironmentLacksError("another topology is held already", "end the other `harness up` first")
    control_socket_path().unlink(missing_ok=True)
    run_id = new_run_id()
    async with (
        start_supervisor(run_id) as supervisor,
        open_backend(backend, supervisor, run_id) as opened_backend,
        opened_backend.topology(design, logs, Clock(), port) as topology,
    ):
        server = await asyncio.start_unix_server(lambda r, w: _serve(topology, r, w), path=str(control_socket_path()))
        try:
            async with server:
                yield topology
        finally:
            control_socket_path().unlink(missing_ok=True)


async def request(action: str, replica: str) -> dict[str, object]:
    """Ask the held topology to ``kill`` or ``restart`` a replica. Returns the evidence.

    Raises:
        UsageError: no topology is held, or the action failed.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(control_socket_path()))
    except OSError as problem:
        raise UsageError(
            "no topology is held up", "harness up SCENARIO --design NAME, in another terminal"
        ) from problem
    writer.write(json.dumps({"deed": action, "replica": replica}).encode() + b"\n")
    answer: dict[str, object] = json.loads(await reader.readline())
    writer.close()
    if "error" in answer:
        raise UsageError(str(answer["error"]), str(answer.get("hint", "")))
    return answer


async def _is_held() -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(control_socket_path()))
    except OSError:
        return False
    writer.close()
    return True


async def _serve(topology: Topology, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = await reader.readline()
    if line:
        writer.write(json.dumps(await _perform(topology, json.loads(line))).encode() + b"\n")
        await writer.drain()
    writer.close()


async def _perform(topology: Topology, order: dict[str, str]) -> dict[str, object]:
    try:
        part = require_capability(topology, order["replica"], Killable)
        evidence = await (part.kill() if order["deed"] == "kill" else part.restart())
    except HarnessError as problem:
        names = ", ".join(replica.name for replica in topology.replicas)
        return {"error": problem.message, "hint": problem.hint or f"it has {names}"}
    return {"replica": order["replica"], "landed": evidence.confirmed, **evidence.facts}
