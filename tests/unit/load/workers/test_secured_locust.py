"""Who may take part in a load: the holder of its token, and nobody else."""

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
import zmq
from zmq.utils import z85

pytestmark = pytest.mark.slow  # every test starts a server

ROOT = Path(__file__).resolve().parents[4]
TOKEN = "the token of this run"
#: Says what it receives, and how many peers it has refused by then. A program of its own: Locust patches its process.
SERVER = """
import sys
from harness.load.workers import secured_locust as secured
server = secured.SecuredServer("127.0.0.1", int(sys.argv[1]))
print("listens", flush=True)
while True:
    try:
        client, message = server.recv_from_client()
    except secured.RPCReceiveError as problem:
        print("nonsense", flush=True)
    else:
        print(message.type, server.refused, flush=True)
"""


class Master:
    """The master's end of a connection, and peers of it."""

    def __init__(self, socket_path: Path | None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._endpoint = f"ipc://{socket_path}" if socket_path else f"tcp://127.0.0.1:{self.port}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HARNESS_WORKER_TOKEN": TOKEN}
        environment |= {"HARNESS_WORKER_ENDPOINT": self._endpoint} if socket_path else {}
        argv = [sys.executable, "-c", SERVER, str(self.port)]
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.line() == "listens"

    @contextlib.contextmanager
    def peer(self, token: str) -> Iterator[zmq.Socket[bytes]]:
        """A peer with a token; what it sends is delivered as long as the scope is open."""
        secret = z85.encode(hashlib.sha256(f"harness {token}".encode()).digest())
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
            dealer.curve_serverkey = zmq.curve_public(secret)
            dealer.linger = 0
            dealer.setsockopt(zmq.IDENTITY, token.encode())
            dealer.connect(self._endpoint)
            yield dealer

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(params=["tcp", "unix"])
def master(request: pytest.FixtureRequest) -> Iterator[Master]:
    path = Path(f"/tmp/secured-{os.getpid()}") if request.param == "unix" else None  # noqa: S108 - a short path
    started = Master(path)
    yield started
    started.process.kill()
    started.process.communicate()
    if path:
        path.unlink(missing_ok=True)


def message(kind: str) -> bytes:
    return bytes(msgpack.dumps((kind, None, "somebody")))


def test_only_a_peer_with_the_token_takes_part(master: Master) -> None:
    with master.peer("a token of another run") as stranger, master.peer(TOKEN) as worker:
        stranger.send(message("quit"))
        refused = 0
        while not refused:
            worker.send(message("stats"))
            kind, count = master.line().split()
            assert kind == "stats"
            refused = int(count)


def test_nonsense_of_a_worker_costs_that_message_only(master: Master) -> None:
    with master.peer(TOKEN) as worker:
        for nonsense in (b"\xc1", b"", msgpack.dumps([1]), msgpack.dumps((1, 2, 3, 4)), b"\x81\xa1a" + b"\xff" * 99):
            worker.send(nonsense)
            assert master.line() == "nonsense"
        worker.send(message("stats"))
        assert master.line().split()[0] == "stats"


def test_garbage_on_the_port_is_ignored(master: Master) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000, b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f", b""):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", master.port)) as peer:
            peer.settimeout(60)
            with contextlib.suppress(OSError):  # the master may have closed it already
                peer.sendall(garbage)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
    with master.peer(TOKEN) as worker:
        worker.send(message("stats"))
        assert master.line().split()[0] == "stats"


def test_on_one_machine_no_port_is_open(master: Master) -> None:
    if master._endpoint.startswith("ipc"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", master.port))
