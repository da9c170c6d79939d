"""A service that answers every path but one with something hostile: ``python -m tests.support.hostile_server``.

``/cart`` is honest: a tally per user. The first line printed is its port.
"""

import gzip
import json
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from harness.oracle.operations import token

HEAD = b"HTTP/1.1 200 OK\r\nX-Replica: r0\r\nX-Boot: b0\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 No\r\nX-Replica: r0\r\nContent-Length: 0\r\n\r\n"
MIB = 1 << 20
Act = Callable[[socket.socket], None]


def sized(body: bytes, *lines: bytes) -> bytes:
    """A reply with a length and further header lines."""
    return HEAD + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def moved(location: bytes, status: int = 302) -> bytes:
    """A redirect."""
    return b"HTTP/1.1 %d Moved\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % (status, location)


def endless(begin: bytes, more: bytes) -> Act:
    """Sends the same again and again, until the client goes away."""

    def act(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(more)

    return act


def drip(connection: socket.socket) -> None:
    """Sends a reply byte by byte, too slowly."""
    for byte in sized(b"x" * 1000):
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def reset(connection: socket.socket) -> None:
    """Resets the connection in the middle of a body."""
    connection.sendall(HEAD + b"Content-Length: 99\r\n\r\nhalf")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def long_cookies(count: int) -> bytes:
    """So many cookies in one reply."""
    return sized(b"x", *[b"Set-Cookie: a%d=1" % number for number in range(count)])


BOMB, MEMBERS = gzip.compress(bytes(64 * MIB)), gzip.compress(b"") * 100_000
#: What each path answers: bytes, or something that acts on the connection and then closes it.
ACTS: dict[str, bytes | Act] = {
    # One header of one reply
    "length-of-5000-digits": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "max-age-of-5000-digits": sized(b"x", b"Set-Cookie: a=1; Max-Age=" + b"9" * 5000),
    "max-age-of-1000-digits": sized(b"x", b"Set-Cookie: a=1; Max-Age=" + b"9" * 1000),
    "huge-year": sized(b"x", b"Set-Cookie: a=1; Expires=Fri, 1 Jan 999999999999 00:00:00 GMT"),
    "year-99999": sized(b"x", b"Set-Cookie: a=1; Expires=Fri, 1 Jan 99999 00:00:00 +9999"),
    "huge-zone": sized(b"x", b"Set-Cookie: a=1; Expires=Fri, 1 Jan 2100 00:00:00 +" + b"9" * 900),
    "location-no-url": moved(b"http://["),
    "location-huge-port": moved(b"http://127.0.0.1:99999999999999/"),
    "location-not-ascii": moved("/häßlich".encode()),
    "replica-without-end": sized(b"x", b"X-Replica: " + b"r" * 60_000),
    # Bodies
    "gzip-members": sized(MEMBERS, b"Content-Encoding: gzip"),
    "gzip-bomb": sized(BOMB, b"Content-Encoding: gzip"),
    "one-byte-chunks": CHUNKED + b"1\r\nx\r\n" * 500_000 + b"0\r\n\r\n",
    "folded-one-byte-chunks": CHUNKED.replace(b"\r\n\r\n", b"\r\nX: a\r\n b\r\n\r\n") + b"1\r\nx\r\n" * 100_000,
    "body-of-60-mb": endless(HEAD + b"Content-Length: %d\r\n\r\n" % (60 * MIB), bytes(MIB)),
    "body-of-15-mb": sized(bytes(15 * MIB)),
    "deeply-nested": sized(b'{"session": ' + b"[" * 100_000),
    "far-too-many-writes": sized(
        b'{"session": {"birth": "b", "owner": "o", "last": "", "digest": "0", "count": %b}}' % (b"9" * 4000)
    ),
    "gzip-with-more-behind": sized(gzip.compress(b"x") + bytes(MIB), b"Content-Encoding: gzip"),
    "endless-chunks": endless(CHUNKED, b"10000\r\n" + bytes(0x10000) + b"\r\n"),
    "endless-small-chunks": endless(CHUNKED, b"1\r\nx\r\n" * 1000),
    # A change of protocol that nobody asked for
    "unasked-101": b"HTTP/1.1 101 S\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "unasked-101-upgrade": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x81\x01x",
    # What has held before
    "conflicting-lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "negative-length": HEAD + b"Content-Length: -1\r\n\r\nx",
    "signed-length": HEAD + b"Content-Length: +1\r\n\r\nx",
    "listed-lengths": HEAD + b"Content-Length: 1, 2\r\n\r\nx",
    "length-and-chunks": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n") + b"0\r\n\r\n",
    "chunk-overflow": CHUNKED + b"ffffffffffffffff1\r\nx",
    "chunk-longer-than-its-size": CHUNKED + b"1\r\nxyz\r\n0\r\n\r\n",
    "nul": HEAD + b"X: a\0b\r\nContent-Length: 1\r\n\r\nx",
    "bare-cr": HEAD + b"X: a\rb\r\nContent-Length: 1\r\n\r\nx",
    "folded": sized(b"x", b"X: a\r\n b"),
    "endless-head": endless(HEAD, b"X-More: and more\r\n" * 100),
    "endless-header": endless(HEAD + b"X: ", b"a" * 10_000),
    "100000-cookies": long_cookies(100_000),
    "3000-cookies": long_cookies(3000),
    "redirect-loop": moved(b"/redirect-loop"),
    "slow-drip": drip,
    "reset": reset,
    "flood-of-1xx": endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
    "reply-in-advance": sized(b"x") + sized(b"unasked"),
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n",
}


class Carts:
    """The honest part: how many writes of each user are applied."""

    def __init__(self) -> None:
        self._applied: dict[str, list[int]] = defaultdict(list)

    def reply(self, head: bytes) -> bytes:
        """Apply a write, and show the user's tally."""
        lines = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        user = lines["X-User"]
        applied = self._applied[user]
        if "Idempotency-Key" in lines:
            applied.append(int(lines["Idempotency-Key"], 16))
        last = f"{applied[-1]:016x}" if applied else ""
        digest = f"{sum(map(token, applied)) % 2**64:016x}"
        tally = {"birth": f"b-{user}", "owner": user, "count": len(applied), "last": last, "digest": digest}
        return sized(json.dumps({"session": tally}).encode())


def serve(connection: socket.socket, carts: Carts) -> None:
    """Answer the requests of one connection."""
    with suppress(OSError), connection:
        pending = b""
        while True:
            while b"\r\n\r\n" not in pending:
                if not (more := connection.recv(65536)):
                    return
                pending += more
            head, _, pending = pending.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode().strip("/")
            act = (
                carts.reply(head) if path == "cart" else ACTS.get(path, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            )
            if callable(act):
                act(connection)
                return
            connection.sendall(act)


def main() -> None:
    """Serve until killed."""
    carts = Carts()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, carts), daemon=True).start()


if __name__ == "__main__":
    main()
