"""A server whose service times are known to the microsecond: it watches the clock, and writes down what it did.

    python -m benchmarks.truth_server KIND SEED STALL_EVERY_MS STALL_MS PORT LOG

One request is served at a time, first come first served. Every reply tells its own service time (``X-Service-Ns``). On
SIGTERM it writes its log: of each request the arrival, the end that was due, the moment at which its reply had been
sent and the service time, four 64-bit integers (ns, CLOCK_MONOTONIC), after four others: the origin, period and length
of its stalls, and 0.
"""

import gc
import select
import signal
import socket
import sys
from array import array
from collections import deque
from pathlib import Path
from time import monotonic_ns
from typing import NoReturn

from benchmarks.queueing import MS, Queue, Service, Stalls
from harness.common.ports import LOOPBACK

BODY = b"{}"
#: A wait in epoll is told in whole milliseconds, and may end late.
WATCH_NS = 3 * MS // 2
#: To send takes about so long: what is due is sent so much before, and the log says when it had been.
LEAD_NS = 20_000


class TruthServer:
    """Serves until it is told to stop."""

    def __init__(self, port: int, service: Service, stalls: Stalls) -> None:
        self._listener = socket.create_server((LOOPBACK, port), backlog=1024, reuse_port=True)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._service = service
        self._queue = Queue(stalls)
        self._due: deque[tuple[int, int, int, socket.socket]] = deque()
        self.log = array("q", [stalls.origin, stalls.every, stalls.length, 0])

    def run(self) -> NoReturn:
        """Read what comes, reply when it is due; before that the clock is watched without rest."""
        due = self._due
        while True:
            for fd, _ in self._epoll.poll(max(0, due[0][1] - monotonic_ns() - WATCH_NS) / 1e9 if due else -1):
                self._read(fd)
            while due and due[0][1] - LEAD_NS <= monotonic_ns():
                self._reply(*due.popleft())

    def _read(self, fd: int) -> None:
        if fd == self._listener.fileno():
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[connection.fileno()] = connection
            self._epoll.register(connection, select.EPOLLIN)
            return
        connection = self._connections[fd]
        try:
            asked = connection.recv(65536)
        except ConnectionError:
            asked = b""
        if not asked:
            del self._connections[fd]
            connection.close()
            return
        arrival, service = monotonic_ns(), self._service.next()
        self._due.append((arrival, self._queue.finish(arrival, service), service, connection))

    def _reply(self, arrival: int, due: int, service: int, connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nX-Replica: r0\r\nX-Boot: b0\r\nX-Service-Ns: %d\r\nContent-Length: %d\r\n\r\n"
        try:
            connection.send(head % (service, len(BODY)) + BODY)
        except OSError:
            return  # who asked is gone
        self.log.extend((arrival, due, monotonic_ns(), service))


def main(arguments: list[str]) -> None:
    """The command."""
    kind, seed, every, length, port, log = arguments
    stalls = Stalls(monotonic_ns() + int(every) * MS // 2, int(every) * MS, int(length) * MS)
    server = TruthServer(int(port), Service(kind, int(seed)), stalls)

    def leave(*_: object) -> NoReturn:
        Path(log).write_bytes(server.log.tobytes())
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    gc.freeze()
    gc.disable()
    server.run()


if __name__ == "__main__":
    main(sys.argv[1:])
