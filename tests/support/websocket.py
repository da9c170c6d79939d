"""The server side of a WebSocket for a scripted server, with real frames."""

import re
import socket
import struct
from collections.abc import Callable

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import generate_accept_token

from tests.support.load import Action

HEADERS = b"X-Replica: r0\r\nX-Boot: r0-boot\r\n"


class Peer:
    """The server side of one WebSocket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.frames = Connection(ConnectionType.SERVER)
        self._events: list[Event] = []

    def send_text(self, text: str) -> None:
        self.connection.sendall(self.frames.send(TextMessage(data=text)))

    def send_in_frames(self, *parts: str) -> None:
        for number, part in enumerate(parts, 1):
            message = TextMessage(data=part, message_finished=number == len(parts))
            self.connection.sendall(self.frames.send(message))

    def send_bytes(self, data: bytes) -> None:
        self.connection.sendall(self.frames.send(BytesMessage(data=data)))

    def ping(self, payload: bytes) -> bytes:
        """Send a ping, and return the payload of its pong; skips other events."""
        self.connection.sendall(self.frames.send(Ping(payload=payload)))
        while True:
            event = self.next_event()
            if isinstance(event, Pong):
                return bytes(event.payload)

    def receive_text(self) -> str:
        """Wait for the next complete text message, and return it."""
        text = ""
        while True:
            event = self.next_event()
            if not isinstance(event, TextMessage):
                raise ConnectionError(f"expected a text message, received {event}")
            text += event.data
            if event.message_finished:
                return text

    def next_event(self) -> Event:
        while not self._events:
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError("the client has disconnected")
            self.frames.receive_data(data)
            self._events = list(self.frames.events())
        return self._events.pop(0)

    def close(self, code: int = 1000) -> Event:
        """Start the closing handshake; returns the answer of the client."""
        self.connection.sendall(self.frames.send(CloseConnection(code=code)))
        return self.next_event()

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def upgrade_response(request: bytes, more: bytes = HEADERS) -> bytes:
    """The response that accepts an upgrade request; ``more`` holds further header lines."""
    match = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert match is not None
    token = generate_accept_token(match[1])
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n" + more + b"\r\n"
    )


def upgrade_then(talk: Callable[[Peer], None], more: bytes = HEADERS) -> Callable[[bytes], Action]:
    """An ``otherwise`` of a scripted server that accepts an upgrade, then runs ``talk``."""

    def otherwise(request: bytes) -> Action:
        if b"Upgrade: websocket" not in request:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + HEADERS + b"\r\n{}"

        def act(connection: socket.socket) -> None:
            connection.sendall(upgrade_response(request, more))
            talk(Peer(connection))

        return act

    return otherwise
