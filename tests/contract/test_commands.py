"""User-supplied programs as replicas: every failure gives a clear message and leaves nothing running."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from harness.cluster.replicas.command import CommandReplica, ReplicaOrders
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.cluster.supervisor.main import processes
from harness.cluster.watch.logs import KEPT_BYTES, MAX_BYTES, bound_logs
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import Reservation, non_ephemeral_port
from harness.scenario.services import Command
from tests.support import service

pytestmark = pytest.mark.slow

Make = Callable[..., CommandReplica]


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with start_supervisor("commands") as started:
        yield started


@pytest.fixture
async def make(supervisor: Supervisor, tmp_path: Path) -> AsyncIterator[Make]:
    """Replicas of a mode; what still runs is stopped, and what it listened on is free then."""
    made: list[CommandReplica] = []

    def make_replica(
        mode: str, port: Reservation | None = None, ready: str | None = "/", within: str = "10s"
    ) -> CommandReplica:
        program = [sys.executable, service.__file__, mode, "{port}"]
        target = Command(program, ready=ready, ready_within=within, stop_within="0.5s")
        orders = ReplicaOrders(target, "", lambda name, boot: None)
        made.append(CommandReplica("r0", supervisor, port or non_ephemeral_port(), tmp_path, orders))
        return made[-1]

    yield make_replica
    for replica in made:
        await replica.stop()
        assert not listens(replica)
    assert supervisor.children == ()


def listens(replica: CommandReplica) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((replica.member.host, replica.member.port)) == 0


async def served_by(replica: CommandReplica) -> int:
    reader, writer = await asyncio.open_connection(replica.member.host, replica.member.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    pid = int((await reader.read()).rpartition(b"\r\n\r\n")[2])
    writer.close()
    return pid


@pytest.mark.parametrize("mode", ["ok", "forks", "escapes", "deaf"])
@pytest.mark.parametrize("ready", ["/", None])
async def test_it_starts_dies_whole_and_comes_back_at_its_port(make: Make, mode: str, ready: str | None) -> None:
    replica = make(mode, ready=ready)
    await replica.start()
    first = await served_by(replica)
    assert (await replica.kill()).confirmed
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    evidence = await replica.restart()
    assert evidence.confirmed
    assert (evidence.facts["old_boot"], replica.boot) == ("r0.1", "r0.2")
    assert await served_by(replica) != first


async def test_a_program_without_so_reuseaddr_cannot_restart_at_once_and_the_hint_names_the_option(make: Make) -> None:
    replica = make("strict")
    await replica.start()
    await served_by(replica)  # which the server closes first: its side of the connection lingers
    assert (await replica.kill()).confirmed
    with pytest.raises(EnvironmentLacksError, match="Address already in use") as problem:
        await replica.restart()
    assert "SO_REUSEADDR" in problem.value.hint


async def test_a_service_that_answers_503_while_it_starts_is_awaited(make: Make) -> None:
    replica = make("starting")
    await replica.start()
    assert await served_by(replica) > 0


@pytest.mark.parametrize(
    ("mode", "within", "words"),
    [
        ("exits", "10s", "r0 ended with code 1 before it was ready: no database here"),
        ("background", "10s", "r0 ended with code 0 before it was ready"),
        ("never", "1s", "r0 was not ready within 1s: answers GET / with 503"),
        ("silent", "1s", "r0 was not ready within 1s: it listens on no port"),
        ("lost", "60s", "r0 listens on 127.0.0.1:"),
        ("ipv6", "60s", "r0 listens on [::1]:"),
    ],
)
async def test_the_cause_of_a_failed_start_is_reported(
    make: Make, tmp_path: Path, mode: str, within: str, words: str
) -> None:
    replica = make(mode, within=within)
    with pytest.raises(EnvironmentLacksError) as problem:
        await replica.start()
    assert problem.value.message.startswith(words)
    assert any(word in problem.value.hint for word in ("{port}", "::1", str(tmp_path / "r0.log")))
    assert (tmp_path / "r0.log").exists()


async def test_of_two_copies_at_one_fixed_port_the_second_learns_which_port_it_was_given(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        program = [sys.executable, service.__file__, "strict", str(first.getsockname()[1])]
        orders = ReplicaOrders(Command(program), "", lambda name, boot: None)
        second = CommandReplica("r1", supervisor, non_ephemeral_port(), tmp_path, orders)
        with pytest.raises(EnvironmentLacksError, match=r"r1 ended with code 1 .*Address already in use") as problem:
            await second.start()
    assert f"it was given port {second.member.port}: put {{port}} into its command" in problem.value.hint


@pytest.mark.parametrize("mode", ["lost", "ipv6"])
async def test_where_it_listens_and_where_it_is_asked_are_named_long_before_its_time_is_up(
    make: Make, mode: str
) -> None:
    replica = make(mode, within="600s")
    with pytest.raises(EnvironmentLacksError) as problem:
        async with asyncio.timeout(60):
            await replica.start()
    assert f"not on 127.0.0.1:{replica.member.port}, where it is asked" in problem.value.message


async def test_a_socket_for_metrics_that_opens_before_the_service_is_no_mistake(make: Make) -> None:
    replica = make("metrics first")
    await replica.start()
    assert await served_by(replica) > 0


async def test_what_sigkill_cut_off_is_counted_where_sigterm_was_not_enough(make: Make) -> None:
    replica = make("deaf")
    await replica.start()
    with socket.create_connection((replica.member.host, replica.member.port)):
        await served_by(replica)  # so that it has accepted the connection before this one
        evidence = await replica.terminate()
    facts = evidence.facts
    assert evidence.confirmed
    assert (facts["forced"], facts["grace_s"], facts["open_connections"]) == (True, 0.5, 1)


async def test_what_a_program_leaves_behind_when_sigterm_ends_it_is_ended_too(make: Make) -> None:
    replica = make("escapes")
    await replica.start()
    evidence = await replica.terminate()
    assert evidence.confirmed
    assert (evidence.facts["forced"], evidence.facts["left_behind"]) == (False, 1)
    assert (await replica.restart()).confirmed, "its port is free again"


async def test_a_missing_program_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    orders = ReplicaOrders(Command("no-such-program {port}"), "", lambda name, boot: None)
    with pytest.raises(EnvironmentLacksError, match="no-such-program"):
        await CommandReplica("r0", supervisor, non_ephemeral_port(), tmp_path, orders).start()


async def test_another_server_at_the_port_is_never_measured(make: Make) -> None:
    """It took the port while the program was starting; the program itself waits, and does not end."""
    replica = make("silent", port := non_ephemeral_port())
    port.close()
    with socket.create_server(("127.0.0.1", port.port)) as other_server:
        answering = asyncio.create_task(_answer(other_server))
        with pytest.raises(EnvironmentLacksError, match="belongs to no process of r0"):
            await replica.start()
        answering.cancel()


async def _answer(listener: socket.socket) -> None:
    listener.setblocking(False)
    while True:
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        connection.send(b"HTTP/1.0 200 OK\r\n\r\n")
        connection.close()


async def test_the_port_of_a_dead_replica_is_not_given_away(make: Make) -> None:
    replica = make("ok")
    await replica.start()
    await replica.kill()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((replica.member.host, replica.member.port))


async def test_a_large_log_is_bounded_and_keeps_its_first_and_last_lines(make: Make, tmp_path: Path) -> None:
    log, replica = tmp_path / "r0.log", make("noisy")
    async with bound_logs([log]):
        log.write_text("first\n")
        await replica.start()
        async with asyncio.timeout(20):
            while b"bytes left out" not in log.read_bytes():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.1)
        assert log.stat().st_size < MAX_BYTES
        await replica.stop()
        with log.open("a") as file:
            file.write("last\n")
    text = log.read_bytes()
    assert text.startswith(b"first\n") and text.find(b"bytes left out") in range(KEPT_BYTES, KEPT_BYTES + 100)
    assert text.endswith(b"last\n")


async def test_nothing_is_left_of_a_program_that_forks(make: Make) -> None:
    replica = make("forks")
    await replica.start()
    group = replica.pid
    await replica.stop()
    assert not [process for process in processes() if process.group == group and process.state != "Z"]
