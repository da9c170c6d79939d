"""Locust's command, with a connection between its master and its workers that only holders of the run's token share.

Run in place of ``python -m locust``. The connection is CurveZMQ: the master's key is derived from the token, so a peer
without it cannot finish the handshake. Nothing that such a peer sends reaches Locust, and nothing of the run, such as
the source of the users, reaches the peer. On one machine the connection is a Unix socket in a private directory.
"""

import contextlib
import hashlib
import logging
import os
from typing import Any

import gevent
import locust  # noqa: F401 - first of all: it patches the standard library
import zmq.green as zmq
from locust.exception import RPCError, RPCReceiveError
from locust.main import main
from locust.rpc import Message, zmqrpc
from zmq.utils import z85

from harness.load.control.plan import ENDPOINT, TOKEN

#: No message is larger: the records of a worker elsewhere come in chunks, the users are a few files.
MAX_MESSAGE_BYTES = 1 << 26
_MONITOR_INTERVAL_S = 0.5
_REFUSALS = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH

log = logging.getLogger(__name__)


def derive_keys(token: str) -> tuple[bytes, bytes]:
    """The public and the secret key of the master of a run, from the run's token."""
    secret = z85.encode(hashlib.sha256(f"harness {token}".encode()).digest())
    return zmq.curve_public(secret), secret


class SecuredServer(zmqrpc.BaseSocket):
    """The master's end. What an accepted peer sends amiss costs that message only."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(zmq.ROUTER, self.ipv4_only(host, port))  # type: ignore[no-untyped-call] # so is all of Locust
        self.socket.curve_publickey, self.socket.curve_secretkey = derive_keys(os.environ[TOKEN])
        self.socket.curve_server = True
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self.refused = 0
        self._monitor = self.socket.get_monitor_socket(_REFUSALS)
        try:
            self.socket.bind(os.environ.get(ENDPOINT) or f"tcp://{host}:{port}")
        except zmq.ZMQError as problem:
            raise RPCError(f"Socket bind failure: {problem}") from problem
        self.port = port
        gevent.spawn(self._count_refusals)

    def recv_from_client(self) -> tuple[str, Message]:
        """The next message of a worker, and who sent it."""
        frames = self.socket.recv_multipart()
        try:
            address = frames[0].decode()
        except UnicodeDecodeError as problem:
            raise RPCReceiveError("a worker with no name") from problem
        try:
            return address, Message.unserialize(frames[1])  # type: ignore[no-untyped-call] # as above
        except Exception as problem:  # msgpack has many errors for bytes that it did not write
            raise RPCReceiveError(f"no message: {problem!r}", addr=address) from problem

    def _count_refusals(self) -> None:
        while True:
            gevent.sleep(_MONITOR_INTERVAL_S)
            before = self.refused
            with contextlib.suppress(zmq.ZMQError):  # none is left to be counted
                while self._monitor.recv_multipart(zmq.NOBLOCK):
                    self.refused += 1
            if self.refused > before:
                log.warning("connections without the token of this run were refused: %d so far", self.refused)


class SecuredClient(zmqrpc.BaseSocket):
    """A worker's end. Its own key is new for each connection: the token alone says that it may take part."""

    def __init__(self, host: str, port: int, identity: str) -> None:
        super().__init__(zmq.DEALER, self.ipv4_only(host, port))  # type: ignore[no-untyped-call] # as above
        self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()
        self.socket.curve_serverkey, _ = derive_keys(os.environ[TOKEN])
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self.socket.connect(os.environ.get(ENDPOINT) or f"tcp://{host}:{port}")


def secure(rpc: Any = zmqrpc) -> None:
    """Let Locust connect in this way."""
    rpc.Server, rpc.Client = SecuredServer, SecuredClient


if __name__ == "__main__":
    secure()
    main()  # type: ignore[no-untyped-call] # as above
