import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.http.client import Client
from harness.load.http.response import Response
from harness.load.http.wire import Encoder, HeadCache, ProtocolError, ResponseReader, key_line

CLIENT = Client(17)
PLAIN = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-Replica: r1\r\nx-boot: abc\r\n"
    b"Set-Cookie: a=1\r\nset-cookie: b=2; Path=/\r\n\r\nhello"
)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Replica: r1\r\nSet-Cookie: a=1\r\n\r\n"
    b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 204 No Content\r\nX-Replica: r1\r\n\r\n"
CLOSING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndown"
UNSIZED = b"HTTP/1.0 200 OK\r\nX-Replica: r1\r\n\r\nhello"
ALL = [PLAIN, CHUNKED, CONTINUED, EMPTY, CLOSING]


def read(pieces: list[bytes], method: str = "GET") -> Response | None:
    reader = ResponseReader(HeadCache())
    for index, piece in enumerate(pieces):
        reply = reader.feed(piece, method)
        if reply is not None:
            assert index == len(pieces) - 1, "whole before its last byte"
            return reply
    return None


def content_of(reply: Response | None) -> tuple[object, ...]:
    assert reply is not None
    return reply.status, reply.body, reply.keep_alive, reply.replica, reply.boot, reply.head.cookies, reply.headers


def cut(data: bytes, places: set[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


@given(st.sampled_from(ALL), st.data())
def test_any_split_of_the_bytes_gives_the_same_reply(data: bytes, draw: st.DataObject) -> None:
    places = draw.draw(st.sets(st.integers(1, len(data) - 1)))
    assert content_of(read(cut(data, places))) == content_of(read([data]))


@given(st.binary(max_size=3000), st.integers(200, 599).filter(lambda s: s not in (204, 304)), st.booleans())
def test_any_body_comes_back_as_it_was_sent(body: bytes, status: int, lower: bool) -> None:
    name = b"content-length" if lower else b"Content-Length"
    reply = read([b"HTTP/1.1 %d X\r\n%b: %d\r\n\r\n" % (status, name, len(body)) + body])
    assert reply is not None and (reply.status, reply.body) == (status, body)


def test_a_plain_response_is_decoded() -> None:
    reply = read([PLAIN])
    assert reply is not None
    assert (reply.status, reply.body, reply.replica, reply.boot, reply.keep_alive) == (200, b"hello", "r1", "abc", True)
    assert reply.head.cookies == [b"a=1", b"b=2; Path=/"]


def test_the_parser_and_the_scanner_agree() -> None:
    scanned, parsed = read([PLAIN]), read([CONTINUED])
    assert content_of(scanned) == content_of(parsed)


def test_a_chunked_reply_is_put_together() -> None:
    reply = read([CHUNKED])
    assert reply is not None and (reply.body, reply.keep_alive) == (b"hello", True)


@pytest.mark.parametrize("data", [EMPTY, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"])
def test_replies_that_have_no_body_end_with_their_head(data: bytes) -> None:
    reply = read([data])
    assert reply is not None and (reply.body, reply.keep_alive) == (b"", True)


def test_the_response_to_head_has_no_body_even_with_a_content_length() -> None:
    reply = read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], "HEAD")
    assert reply is not None and reply.body == b""


def test_connection_close_is_not_kept() -> None:
    reply = read([CLOSING])
    assert reply is not None and not reply.keep_alive


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = ResponseReader(HeadCache())
    assert reader.feed(UNSIZED, "GET") is None
    reply = reader.end("GET")
    assert reply is not None and (reply.body, reply.keep_alive) == (b"hello", False)


def test_bytes_after_the_response_end_the_connection() -> None:
    reply = read([PLAIN + b"HTTP/1.1"])
    assert reply is not None and (reply.body, reply.keep_alive) == (b"hello", False)


def test_one_connection_carries_one_reply_after_another() -> None:
    reader = ResponseReader(HeadCache())
    bodies = [reply.body for data in (PLAIN, CHUNKED, EMPTY, PLAIN) if (reply := reader.feed(data, "GET"))]
    assert bodies == [b"hello", b"hello", b"", b"hello"]


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01",
        b"HTTP/1.1 abc Oops\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_bytes_that_are_no_response_are_refused_immediately(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponseReader(HeadCache()).feed(data, "GET")


@given(st.binary(min_size=1, max_size=400))
def test_garbage_raises_nothing_but_protocol_errors(data: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        reader = ResponseReader(HeadCache())
        try:
            if reader.feed(prefix + data, "GET") is None:
                reader.end("GET")
        except ProtocolError:
            pass


def test_an_end_within_a_response_is_a_protocol_error() -> None:
    for part in (PLAIN[:-1], PLAIN[:20], CHUNKED[:-3]):
        reader = ResponseReader(HeadCache())
        assert reader.feed(part, "GET") is None
        with pytest.raises(ProtocolError):
            reader.end("GET")


def test_an_end_before_any_byte_completes_nothing() -> None:
    assert ResponseReader(HeadCache()).end("GET") is None


def test_a_request_names_its_session_and_its_write() -> None:
    lines = b"X-User: u17\r\nX-Writer: 17\r\nCookie: session=s\r\n"
    request = CLIENT.post("/cart/add?x=1", json={"item": "tea"}, headers={"Accept": "a/b"})
    head, _, body = Encoder("h:1").encode(request, lines, key_line(0xC0FFEE00C0FFEE)).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /cart/add?x=1 HTTP/1.1",
        b"Host: h:1",
        b"Connection: keep-alive",
        b"X-User: u17",
        b"X-Writer: 17",
        b"Cookie: session=s",
        b"Idempotency-Key: 00c0ffee00c0ffee",
        b"Accept: a/b",
        b"Content-Type: application/json",
        b"Content-Length: 14",
    ]
    assert body == b'{"item":"tea"}'


def test_a_post_without_a_body_has_a_content_length_and_a_get_has_none() -> None:
    encoder = Encoder("h")
    assert b"Content-Length: 0\r\n\r\n" in encoder.encode(CLIENT.post("/x"), b"")
    assert b"Content-Length" not in encoder.encode(CLIENT.get("/x"), b"")


@pytest.mark.parametrize("path", ["cart", "/a b", "/a\r\nX: y", "/é"])
def test_a_path_that_cannot_be_sent_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|ASCII"):
        Encoder("h").encode(CLIENT.get(path), b"")


def test_a_header_cannot_smuggle_a_line() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        Encoder("h").encode(CLIENT.get("/", headers={"A": "b\r\nC: d"}), b"")
