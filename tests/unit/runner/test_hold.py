"""The socket of ``harness up``: who may connect, and what happens to those who speak nonsense."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from harness.cluster import leftovers
from harness.cluster.topology import Topology
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.runner import hold
from tests.support.clocks_and_topology import FakeReplica, FakeTopology


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A scratch directory with a path that is short enough for a socket."""
    home = Path(tempfile.mkdtemp(prefix="hold-"))
    monkeypatch.setattr(leftovers, "SCRATCH_PREFIX", str(home / "harness-"))
    directory = home / "harness-1"
    directory.mkdir(0o700)
    yield directory
    shutil.rmtree(home)


@pytest.fixture
async def replica(scratch: Path) -> AsyncIterator[FakeReplica]:
    """The one replica of a topology that is held."""
    topology = FakeTopology([FakeReplica("r1")])
    async with hold.answer_requests(cast("Topology", topology), scratch):
        yield topology.replicas[0]


async def test_a_replica_is_killed_and_restarted(replica: FakeReplica) -> None:
    assert (await hold.request("kill", "r1"))["landed"] is True
    assert (await hold.request("restart", "r1"))["boot"] == "r1-2"
    assert replica.actions == ["kill", "restart"]


async def test_a_kill_without_effect_is_an_error(replica: FakeReplica) -> None:
    replica.lands = False
    with pytest.raises(UsageError, match="no kill of r1"):
        await hold.request("kill", "r1")


async def test_an_unknown_replica_is_an_error_with_the_names(replica: FakeReplica) -> None:
    with pytest.raises(UsageError) as problem:
        await hold.request("kill", "r9")
    assert "r1" in problem.value.hint and replica.actions == []


@pytest.mark.parametrize(
    "nonsense", [b"\xff\n", b"{}\n", b'{"action": "format", "replica": "r1"}\n', b"[" * 50_000 + b"\n", b"x" * 10**6]
)
async def test_nonsense_gets_no_answer_and_the_next_request_does(
    replica: FakeReplica, scratch: Path, nonsense: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(scratch / "up.sock"))
    writer.write(nonsense)
    with contextlib.suppress(ConnectionResetError):  # it had sent more than was read
        assert await reader.read() == b""
    writer.close()
    await hold.request("kill", "r1")
    assert replica.actions == ["kill"]


@pytest.mark.parametrize("answer", [None, b"", b"\n", b"[]\n", b"\xff"])
async def test_a_socket_that_is_silent_or_speaks_nonsense_is_said_to_be_so(
    scratch: Path, answer: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold, "_ANSWER_TIMEOUT_S", 0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, path=str(scratch / "up.sock")):
        with pytest.raises(EnvironmentLacksError, match="does not answer"):
            await hold.request("kill", "r1")


async def test_what_a_crash_left_is_no_topology(scratch: Path) -> None:
    (scratch / "up.sock").touch()
    with pytest.raises(UsageError, match="no topology is held up"):
        await hold.request("kill", "r1")
