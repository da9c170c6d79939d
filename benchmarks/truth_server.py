"""A server whose service times are exact to the microsecond: it polls the clock, and logs what it did.

    python -m benchmarks.truth_server KIND SEED STALL_EVERY_MS STALL_MS PORT LOG

It serves one request at a time, first come first served. Every response contains its service time (``X-Service-Ns``).
On SIGTERM the server writes its log, an array of 64-bit integers (ns, CLOCK_MONOTONIC) with shape (1 + requests, 4).
The first row is the origin, period and length of the stalls, and 0. Each other row is the arrival of a request, its
due end, the time after its response was sent, and its service time.
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
#: epoll waits for whole milliseconds, and may end late: the clock is polled for this long before a response is due.
BUSY_WAIT_NS = 3 * MS // 2
#: About how long a send takes: responses are sent this much earlier, and the log has the time afterwards.
SEND_LEAD_NS = 20_000


class TruthServer:
    """Serves requests until the process ends."""

    def __init__(self, port: int, service: Service, stalls: Stalls) -> None:
        self._listener = socket.create_server((LOOPBACK, port), backlog=1024, reuse_port=True)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._service = service
        self._queue = Queue(stalls)
        self._due: deque[tuple[int, int, int, socket.socket]] = deque()
        self.log = array("q", [stalls.origin, stalls.period, stalls.length, 0])

    def run(self) -> NoReturn:
        """Read requests, and respond when they are due; polls the clock shortly before."""
        due = self._due
        while True:
            for fd, _ in self._epoll.poll(max(0, due[0][1] - monotonic_ns() - BUSY_WAIT_NS) / 1e9 if due else -1):
                self._read(fd)
            while due and due[0][1] - SEND_LEAD_NS <= monotonic_ns():
                self._respond(*due.popleft())

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
            request = connection.recv(65536)
        except ConnectionError:
            request = b""
        if not request:
            del self._connections[fd]
            connection.close()
            return
        arrival, service = monotonic_ns(), self._service.next()
        self._due.append((arrival, self._queue.finish(arrival, service), service, connection))

    def _respond(self, arrival: int, due: int, service: int, connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nX-Replica: r0\r\nX-Boot: b0\r\nX-Service-Ns: %d\r\nContent-Length: %d\r\n\r\n"
        try:
            connection.send(head % (service, len(BODY)) + BODY)
        except OSError:
            return  # the client has disconnected
        self.log.extend((arrival, due, monotonic_ns(), service))


def main(arguments: list[str]) -> None:
    """Run the command."""
    kind, seed, period, length, port, log = arguments
    stalls = Stalls(monotonic_ns() + int(period) * MS // 2, int(period) * MS, int(length) * MS)
    server = TruthServer(int(port), Service(kind, int(seed)), stalls)

    def write_log(*_: object) -> NoReturn:
        Path(log).write_bytes(server.log.tobytes())
        sys.exit(0)

    signal.signal(signal.SIGTERM, write_log)
    gc.freeze()
    gc.disable()
    server.run()


if __name__ == "__main__":
    main(sys.argv[1:])
