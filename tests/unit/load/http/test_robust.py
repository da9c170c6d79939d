"""A misbehaving server affects one request only: no hang, leak or crash, and the next request succeeds."""

import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.load.http.client import Client, Request
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.requests import Outcome
from tests.support.load import CLOSE, HANG, RESET, Action, Visitor, drive, reply, scripted

OK, FAILED, IN_DOUBT = Outcome.OK, Outcome.FAILED, Outcome.IN_DOUBT
HEAD = b"HTTP/1.1 200 OK\r\nX-Replica: r0\r\nX-Boot: b0\r\n"
IN_CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED = IN_CHUNKS + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n"
UNSIZED = b"HTTP/1.0 200 OK\r\nX-Replica: r0\r\n\r\nhello"
TIMEOUT = 0.4
#: For what is answered in any case: a busy machine may need long for it.
PATIENCE = 10.0


def sized(body: bytes, *lines: bytes) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def dripping(data: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    """Sends byte by byte, then closes."""

    def act(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)
        connection.close()

    return act


def endless(start: bytes, more: bytes) -> Callable[[socket.socket], None]:
    """Sends the same again and again, until the client stops reading."""

    def act(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(more)

    return act


def reset_after(data: bytes) -> Callable[[socket.socket], None]:
    def act(connection: socket.socket) -> None:
        connection.sendall(data)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return act


def unframed(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ACTS: dict[str, tuple[Action, Outcome]] = {
    "a whole reply": (sized(b"hello"), OK),
    "a whole reply, byte by byte": (dripping(sized(b"hello")), OK),
    "chunks": (CHUNKED, OK),
    "chunks, byte by byte": (dripping(CHUNKED), OK),
    "chunks that end in the middle": ((CHUNKED[:-9], CLOSE), IN_DOUBT),
    "chunks of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", IN_DOUBT),
    "a body that ends with the connection": ((UNSIZED, CLOSE), OK),
    "a body that ends with the connection, byte by byte": (dripping(UNSIZED), OK),
    "100 Continue first": (b"HTTP/1.1 100 Continue\r\n\r\n" + sized(b"hello"), OK),
    "103 first, byte by byte": (dripping(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized(b"hello")), OK),
    "101 that was not requested": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", IN_DOUBT),
    "204": (b"HTTP/1.1 204 No Content\r\nX-Replica: r0\r\n\r\n", OK),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nX-Replica: r0\r\nContent-Length: 9\r\n\r\n", OK),
    "an old-style folded header": (sized(b"hello", b"X-Long: a\r\n  b"), OK),
    "lines without CR": (sized(b"hello").replace(b"\r\n", b"\n"), OK),
    "connection: close": ((sized(b"hello", b"Connection: Close"), CLOSE), OK),
    "garbage": (b"SSH-2.0-OpenSSH_9.2\r\n", IN_DOUBT),
    "zeros": ((bytes(500), HANG), IN_DOUBT),
    "TLS": ((b"\x15\x03\x01\x00\x02\x02\x46", HANG), IN_DOUBT),
    "a status that is none": (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", IN_DOUBT),
    "headers without end": (endless(HEAD, b"X-More: and more\r\n"), IN_DOUBT),
    "one header without end": (endless(HEAD + b"X-More: ", b"a" * 1000), IN_DOUBT),
    "a body without end": (HEAD + b"Content-Length: 99999999999999\r\n\r\n", IN_DOUBT),
    "chunks without end": (endless(IN_CHUNKS, b"100000\r\n" + bytes(1 << 20) + b"\r\n"), IN_DOUBT),
    "trailers without end": (endless(IN_CHUNKS + b"0\r\n", b"X-More: and more\r\n"), IN_DOUBT),
    "an end before any byte": (CLOSE, IN_DOUBT),
    "an end in the head": ((HEAD, CLOSE), IN_DOUBT),
    "an end in the body": ((sized(b"hello")[:-1], CLOSE), IN_DOUBT),
    "a reset before any byte": (RESET, IN_DOUBT),
    "a reset in the body": (reset_after(sized(b"hello")[:-1]), IN_DOUBT),
    "nothing at all": (HANG, IN_DOUBT),
    "a body shorter than declared": ((sized(b"hello")[:-1], HANG), IN_DOUBT),
    "a body longer than declared": ((sized(b"hello") + b"more", HANG), OK),
    "two replies": (sized(b"hello") + sized(b"again"), OK),
    "too slow": (dripping(sized(b"hello"), 0.05), IN_DOUBT),
    "two lengths": (sized(b"hello", b"Content-Length: 6"), IN_DOUBT),
    "the same length twice": (sized(b"hello", b"Content-Length: 5"), OK),
    "a length that is no number": (HEAD + b"Content-Length: five\r\n\r\nhello", IN_DOUBT),
    "a negative length": (HEAD + b"Content-Length: -5\r\n\r\nhello", IN_DOUBT),
    "a large cookie": (sized(b"hello", b"Set-Cookie: a=" + b"x" * 60_000), OK),
    "a cookie beyond the limit of heads": (sized(b"hello", b"Set-Cookie: a=" + b"x" * 70_000), IN_DOUBT),
    "gzip": (sized(gzip.compress(b"hello"), b"Content-Encoding: gzip"), OK),
    "deflate": (sized(zlib.compress(b"hello"), b"Content-Encoding: deflate"), OK),
    "deflate without its frame": (sized(unframed(b"hello"), b"Content-Encoding: deflate"), OK),
    "gzip that is none": (sized(b"hello", b"Content-Encoding: gzip"), IN_DOUBT),
    "gzip that ends early": (sized(gzip.compress(b"hello")[:-9], b"Content-Encoding: gzip"), IN_DOUBT),
    "gzip in very many pieces": (sized(gzip.compress(b"") * 100_000, b"Content-Encoding: gzip"), IN_DOUBT),
    "gzip in some pieces": (sized(gzip.compress(b"hel") + gzip.compress(b"lo"), b"Content-Encoding: gzip"), OK),
    "gzip of far more than it seems": (sized(gzip.compress(bytes(1 << 26)), b"Content-Encoding: gzip"), IN_DOUBT),
    "gzip with something behind it": (sized(gzip.compress(b"hello") + bytes(99), b"Content-Encoding: gzip"), OK),
    "deflate with something behind it": (sized(zlib.compress(b"hello") + b"\r\n", b"Content-Encoding: deflate"), OK),
    "a chunk with a long extension": (IN_CHUNKS + b"1\r\nh\r\n4;" + b"x" * 999 + b"\r\nello\r\n" + b"0\r\n\r\n", OK),
    "a length of thousands of digits": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", IN_DOUBT),
    "a length with thousands of zeros": (HEAD + b"Content-Length: " + b"0" * 5000 + b"5\r\n\r\nhello", OK),
    "a lifetime of thousands of digits": (sized(b"hello", b"Set-Cookie: a=1; Max-Age=" + b"9" * 5000), OK),
    "a lifetime of a thousand digits": (sized(b"hello", b"Set-Cookie: a=1; Max-Age=" + b"9" * 1000), OK),
    "a year beyond all calendars": (sized(b"hello", b"Set-Cookie: a=1; Expires=1 Jan 99999 00:00:00 +9999"), OK),
    "a zone of thousands of digits": (sized(b"hello", b"Set-Cookie: a=1; Expires=1 Jan 2030 0:0:0 +" + b"9" * 900), OK),
    "a date of thousands of digits": (
        sized(b"hello", b"Set-Cookie: a=1; Expires=1 Jan 2030 0:0:0", b"Date: " + b"1" * 5000), OK
    ),
    "a location that is no URL": (reply(302, b"hello", {"Location": "http://["}), OK),
    "101 that was not requested, with a length": (
        (b"HTTP/1.1 101 S\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", HANG), IN_DOUBT
    ),
    "interim responses without end": (endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), IN_DOUBT),
    "a hundred thousand cookies": (sized(b"hello", *[b"Set-Cookie: a=1"] * 100_000), IN_DOUBT),
    "many cookies": (sized(b"hello", *(b"Set-Cookie: c%d=1" % number for number in range(2000))), OK),
    "the name of a replica without end": (sized(b"hello", b"X-Replica: " + b"r" * 50_000), OK),
    "the target's own refusal": (reply(409), FAILED),
    "the balancer's refusal": (reply(403, replica=""), IN_DOUBT),
    "a server error": (reply(500), IN_DOUBT),
}  # fmt: skip


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """As many descriptors after the scope as before it; the server's threads may need a moment."""
    gevent.sleep(0)  # the hub has some of its own, from its first use on
    before, give_up = descriptors(), time.monotonic() + 5
    yield
    while descriptors() > before and time.monotonic() < give_up:
        time.sleep(0.01)
    assert descriptors() <= before


def write_then_read(bodies: list[bytes]) -> Callable[[Client], SessionSteps]:
    """A session of a write and a read, which collects the bodies of the responses."""

    def session(client: Client) -> SessionSteps:
        bodies.append((yield client.post("/cart/add", writes="tea")).body)
        bodies.append((yield client.get("/cart")).body)

    return session


@pytest.mark.parametrize("name", ACTS)
def test_a_misbehaving_server_affects_only_that_request(name: str) -> None:
    action, expected = ACTS[name]
    bodies: list[bytes] = []
    with nothing_left_open(), scripted(action, otherwise=lambda request: sized(b"next")) as server:
        driven = drive(server.url, Visitor(write_then_read(bodies), timeout=PATIENCE if expected is OK else TIMEOUT))
    assert driven.outcomes == [expected, OK]
    assert bodies[1] == b"next"


@pytest.mark.parametrize("name", [name for name, (_, expected) in ACTS.items() if expected is OK])
def test_a_complete_response_has_the_body_that_was_sent(name: str) -> None:
    bodies: list[bytes] = []
    with scripted(ACTS[name][0], otherwise=lambda request: sized(b"next")) as server:
        drive(server.url, Visitor(write_then_read(bodies), timeout=PATIENCE))
    assert bodies[0] == (b"" if name.startswith(("204", "304")) else b"hello")


@pytest.mark.parametrize("at", range(1, len(CHUNKED), 7))
def test_a_reply_in_two_pieces_is_one(at: int) -> None:
    def act(connection: socket.socket) -> None:
        connection.sendall(CHUNKED[:at])
        time.sleep(0.01)
        connection.sendall(CHUNKED[at:])
        time.sleep(0.05)
        connection.close()

    bodies: list[bytes] = []
    with scripted(act, otherwise=lambda request: sized(b"next")) as server:
        assert drive(server.url, Visitor(write_then_read(bodies), timeout=2)).outcomes == [OK, OK]
    assert bodies == [b"hello", b"next"]


def test_a_refused_connection_means_that_nothing_was_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with nothing_left_open():
        driven = drive(f"http://127.0.0.1:{port}", Visitor(write_then_read([])))
    assert driven.outcomes == [FAILED, FAILED]


def test_a_response_to_half_a_request_is_accepted() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nX-Replica: r0\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.2)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=lambda: refuse(listener.accept()[0]), daemon=True).start()
        driven = drive(url, Visitor(lambda client: iter_one(client.post("/cart", data=bytes(20_000_000), writes=1))))
    assert driven.outcomes == [FAILED]
    assert driven.records["status"].tolist() == [413]


def iter_one(request: Request) -> SessionSteps:
    yield request


@given(st.sampled_from([sized(b"hello"), CHUNKED, UNSIZED]), st.integers(0, 300), st.binary(max_size=20), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_mangled_response_breaks_only_its_request(whole: bytes, at: int, noise: bytes, cut: bool) -> None:
    mangled = whole[:at] + noise + (b"" if cut else whole[at + len(noise) :])
    bodies: list[bytes] = []
    with nothing_left_open(), scripted((mangled, CLOSE), otherwise=lambda request: sized(b"next")) as server:
        driven = drive(server.url, Visitor(write_then_read(bodies), timeout=PATIENCE))
    assert len(driven.records) == 2
    assert driven.outcomes[0] in (OK, FAILED, IN_DOUBT)
    assert (driven.outcomes[1], bodies[1]) == (OK, b"next")
