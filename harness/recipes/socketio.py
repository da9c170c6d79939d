"""A client of a Socket.IO server (protocol 5, Engine.IO 4): polling, then the upgrade to a WebSocket."""

import json
from collections.abc import Generator
from typing import Any, ClassVar

from harness.load.http.client import OP, Client, Message, Request, Sleep
from harness.load.http.response import NO_RESPONSE, Response
from harness.load.locustfiles.session_user import Environment, SessionUser, between
from harness.load.sessions.behaviour import SessionSteps, Step
from harness.load.sessions.carriers import Body, Query
from harness.load.sessions.extractors import nothing, text_of
from harness.load.sessions.gone import Status
from harness.oracle.models import counter
from harness.oracle.observed import Observed

_PACKETS = "\x1e"  # between the packets of one poll
_RETRY = Sleep(0.2)  # between two tries to connect
_CONNECT, _CONNECTED, _PING, _PONG, _PROBE, _PROBED, _UPGRADE = "40", "40", b"2", "3", "2probe", b"3probe", "5"


class SocketIo(SessionUser):
    """Connects by polling, upgrades to a WebSocket, and emits an event again and again; connects again when it breaks.

    ``event`` is emitted with ``{"op": id}``; its acknowledgement shows how often this socket has emitted it. If the
    server sends the same object to all other sockets of a room, ``room`` makes the judge expect it there. ``read`` is
    a page that shows the count of the socket ``?id=``; without one the sessions cannot be judged at the end.
    """

    abstract = True
    model = counter
    wait_time = between(0.05, 0.2)
    carries = Query("sid", r'^0{"sid":"([^"]+)"')  # Engine.IO's: the later "sid" of the socket is another
    gone = Status(400) & Body("Session ID unknown") | Status(404)
    path: ClassVar[str] = "/socket.io/"
    event: ClassVar[str] = "say"
    room: ClassVar[str] = ""
    read: ClassVar[str | None] = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._sockets: dict[int, str] = {}  # Socket.IO's id of each session's socket
        self._emitted = 0

    def session(self, client: Client, /) -> SessionSteps:
        """One socket after another."""
        while True:
            reply = yield from self.connect(client)
            while reply.ok:
                reply = yield self.emit(client)
                if reply.ok:
                    reply = yield from self.receive(client)

    def connect(self, client: Client, /) -> Generator[Step, Response, Response]:
        """Connect by polling and upgrade; the result is the reply to the last step, or that to the one that failed."""
        polling, to_socket = self._url("polling"), self._url("websocket")
        hello = yield client.get(polling, fresh=True, reads=nothing, name="handshake")
        if not hello.ok:
            yield _RETRY
            return hello
        joined = yield client.post(polling, data=_CONNECT, reads=nothing, name="connect")
        if joined.ok:
            joined = yield client.get(polling, reads=nothing, name="poll")
        packet = text_of(joined).split(_PACKETS)[0].partition("{")
        if not joined.ok or packet[0] != _CONNECTED:
            yield _RETRY
            return NO_RESPONSE
        opened = yield client.connect(to_socket, room=self.room, name="upgrade")
        if opened.ok:
            opened = yield client.send(data=_PROBE, answer=lambda reply: reply.body == _PROBED, name="probe")
        if opened.ok:
            yield client.send(data=_UPGRADE, name="upgraded")
            self._sockets[client.number] = str(json.loads("{" + packet[2])["sid"])
        return opened

    def emit(self, client: Client, /) -> Message:
        """Emit the event once; the answer is its acknowledgement."""
        self._emitted += 1
        number = self._emitted
        return client.send(
            data=f'42{number}["{self.event}",{{"op":"{OP}"}}]',
            writes=True,
            answer=lambda reply: reply.body.startswith(b"43%d[" % number),
            reads=lambda reply: self._observe_count(client, json.loads(text_of(reply)[2 + len(str(number)) :])[0]),
            name=self.event,
        )

    def receive(self, client: Client, /) -> Generator[Step, Response, Response]:
        """Take what has come, answer pings; the result is 204, or 0 if the socket broke."""
        while (message := (yield client.receive(0.02))).ok and message.status != 204:
            if message.body == _PING:
                yield client.send(data=_PONG, name="pong")
        return message

    def final(self, client: Client, /) -> Request | None:
        """The count of the session's latest socket."""
        socket = self._sockets.get(client.number)
        if self.read is None or socket is None:
            return None
        return client.get(
            f"{self.read}?id={socket}", reads=lambda reply: self._observe_count(client, int(reply.body)), name="read"
        )

    def _observe_count(self, client: Client, count: Any) -> Observed:
        return Observed(birth=self._sockets.get(client.number), state=count)

    def _url(self, transport: str) -> str:
        return f"{self.path}?EIO=4&transport={transport}"
