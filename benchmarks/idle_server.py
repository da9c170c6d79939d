"""A server for very many connections that are mostly idle: one process, one epoll, one fixed response.

python -m benchmarks.idle_server PORT BODY
"""

import gc
import select
import socket
import sys
from typing import NoReturn

from harness.common.ports import LOOPBACK


def serve(port: int, body: bytes) -> NoReturn:
    """Answer every request with ``body``, forever."""
    response = b"HTTP/1.1 200 OK\r\nX-Replica: r0\r\nX-Boot: b0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    listener = socket.create_server((LOOPBACK, port), backlog=65535, reuse_port=True)
    listener.setblocking(False)
    epoll, connections = select.epoll(), {}
    epoll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in epoll.poll(-1, 512):
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
                continue
            try:
                request = connections[fd].recv(4096)
                if request:
                    connections[fd].send(response)
            except OSError:
                request = b""
            if not request:
                connections.pop(fd).close()


if __name__ == "__main__":
    gc.disable()
    serve(int(sys.argv[1]), sys.argv[2].encode())
