"""A server that follows a script, and a user whose session is a function, for the tests of the load."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import gevent
import numpy as np
from gevent.event import Event

from harness.load.arrivals.workload import ClosedWorkload
from harness.load.http.client import Client, Request
from harness.load.http.event_loop import EventLoop
from harness.load.http.response import Response
from harness.load.http.target import Target
from harness.load.recording.recorder import Chunk, Recorder, StringTable
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.context import LoadContext
from harness.load.sessions.registry import SessionRegistry
from harness.load.sessions.scheduling import Actor
from harness.load.sessions.session import Session
from harness.observations.requests import RECORD, Outcome
from harness.oracle.models import ModelFactory, tally
from harness.oracle.observed import tally_from_json
from harness.oracle.operations import token

CLOSE, RESET, HANG, LINGER = "close", "reset", "hang", "close after a rest"
Action = bytes | str | tuple[bytes, str] | Callable[[socket.socket], None]


def reply(status: int = 200, body: bytes = b"{}", headers: dict[str, str] | None = None, replica: str = "r0") -> bytes:
    """The bytes of a reply; an empty ``replica`` means the balancer's own reply."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    if replica:
        lines += [f"X-Replica: {replica}", f"X-Boot: {replica}-boot"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Shelf:
    """The stored session of a tiny built-in target: a tally."""

    def __init__(self, birth: str = "b1", owner: str = "u1") -> None:
        self.birth, self.owner = birth, owner
        self.ops: list[int] = []

    def __call__(self, request: bytes) -> bytes:
        """Apply the request if it is a write, and reply with the stored state."""
        for line in request.split(b"\r\n"):
            if line.startswith(b"Idempotency-Key: "):
                self.ops.append(int(line[17:], 16))
        return reply(body=self.body())

    def body(self) -> bytes:
        """The state that a reply shows."""
        digest = sum(map(token, self.ops)) % 2**64
        last = f"{self.ops[-1]:016x}" if self.ops else ""
        session = {
            "birth": self.birth,
            "owner": self.owner,
            "count": len(self.ops),
            "last": last,
            "digest": f"{digest:016x}",
        }
        return json.dumps({"session": session}).encode()


class Scripted:
    """Answers the n-th request with the n-th action, or else by ``otherwise``; records what it receives."""

    def __init__(self, actions: list[Action], otherwise: Callable[[bytes], Action]) -> None:
        self._actions = list(actions)
        self._otherwise = otherwise
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, *actions: Action) -> None:
        """Set the actions for the next requests."""
        self._actions = list(actions)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while request := _request(connection):
                self.requests.append(request)
                action = self._actions.pop(0) if self._actions else self._otherwise(request)
                if callable(action):
                    action(connection)
                    break
                data, then = (action, "") if isinstance(action, bytes) else (b"", action)
                if isinstance(action, tuple):
                    data, then = action
                connection.sendall(data)
                if then == HANG:
                    return
                if then == RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if then:
                    break
            connection.close()

    def close(self) -> None:
        """Close the listener and every connection."""
        self._listener.close()
        for connection in self._open:
            connection.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def scripted(*actions: Action, otherwise: Callable[[bytes], Action] = lambda request: reply()) -> Iterator[Scripted]:
    """A scripted server for the length of a scope."""
    server = Scripted(list(actions), otherwise)
    try:
        yield server
    finally:
        server.close()


class Visitor:
    """A user whose session is a function given to it."""

    model: ClassVar[ModelFactory] = tally
    devices: ClassVar[int] = 1
    cookies: ClassVar[str] = "browser"
    browser: ClassVar[str] = "own"

    def __init__(self, session: Callable[[Client], SessionSteps], timeout: float = 5.0, wait: float = 0.0) -> None:
        self._session = session
        self.timeout = timeout
        self.wait = wait

    def session(self, client: Client, /) -> SessionSteps:
        return self._session(client)

    def final(self, client: Client, /) -> Request | SessionSteps | None:
        return client.get("/cart")

    def observe(self, reply: Response, /) -> Any:
        return tally_from_json(reply.json()) if reply.body.startswith(b"{") else None

    def forced_login(self, reply: Response, /) -> bool:
        return reply.status == 401

    def wait_time(self) -> float:
        return self.wait


class Once:
    """A workload whose sessions send at once, and finish when they end."""

    def __init__(self) -> None:
        self.dropped = 0
        self.running = 0
        self.done = Event()

    def schedule(self, session: Actor, now: int) -> None:
        session.t_intended = now
        session.send(now)

    def on_session_end(self, session: Actor, now: int) -> None:
        self.running -= 1
        if not self.running:
            self.done.set()


@dataclass(frozen=True)
class Driven:
    """The results of some sessions."""

    records: Chunk
    context: LoadContext
    sessions: list[Session]

    @property
    def outcomes(self) -> list[Outcome]:
        return [Outcome(number) for number in self.records["outcome"].tolist()]


def drive(url: str, *sessions: Visitor, within: float = 10.0, target: Target | None = None) -> Driven:
    """Run sessions from the first request to the last; fails if they take too long."""
    event_loop, workload, chunks = EventLoop(), Once(), [np.empty(0, RECORD)]
    event_loop.target = target or Target.from_url(url)
    context = LoadContext(
        event_loop, Recorder(chunks.append), StringTable(), host=event_loop.target.host, seed=1, t0=time.monotonic_ns()
    )
    registry = SessionRegistry(context)

    def start(now: int) -> None:
        workload.running = len(sessions)
        for user in sessions:
            registry.begin(user, workload).advance(None, now)

    event_loop.call_at(0, start)
    running = gevent.spawn(event_loop.run)
    in_time = workload.done.wait(within)
    event_loop.close()
    running.kill()
    context.recorder.flush()
    assert in_time, "the sessions hang"
    return Driven(np.concatenate(chunks), context, registry.sessions)


def header(request: bytes, name: str) -> str | None:
    """A header of a request that was sent."""
    lines: list[Any] = request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return next((line.split(": ", 1)[1] for line in lines if line.lower().startswith(name.lower() + ":")), None)


class Rig:
    """An event loop with its context and a recorder that keeps its rows; the test itself turns the loop."""

    def __init__(self, url: str) -> None:
        self.event_loop = EventLoop()
        target = self.event_loop.target = Target.from_url(url)
        self._chunks: list[Chunk] = []
        self._recorder = Recorder(self._chunks.append)
        self.names = StringTable()
        self.context = LoadContext(
            self.event_loop, self._recorder, self.names, host=target.host, seed=1, t0=time.monotonic_ns()
        )
        self.registry = SessionRegistry(self.context)
        self.sessions = self.registry.sessions

    def until(self, holds: Callable[[], bool], within: float = 10.0) -> None:
        """Turn the event loop until a condition holds."""
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline, "it did not happen in time"
            self.event_loop.run_once()

    def visit(self, *users: Visitor) -> ClosedWorkload:
        """Run a closed load with these users until each has finished its first session."""
        workload = ClosedWorkload(self.registry)
        ended: set[int] = set()
        proceed = workload.on_session_end

        def end_once(session: Actor, now: int) -> None:
            assert isinstance(session, Session)
            ended.add(session.number)
            workload.leave(session.user)
            proceed(session, now)

        workload.on_session_end = end_once  # type: ignore[method-assign] # these tests look at one session per user
        for user in users:
            workload.join(user, 0)
        workload.start(time.monotonic_ns())
        self.until(lambda: len(ended) == len(users))
        return workload

    def rows(self) -> Any:
        """The records so far, as one array."""
        self._recorder.flush()
        return np.concatenate(self._chunks) if self._chunks else np.empty(0, RECORD)

    def close(self) -> None:
        """Close everything."""
        self.event_loop.close()
        self.event_loop.epoll.close()
