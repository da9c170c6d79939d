"""Bodies: in chunks of any size, and bounded for the process as a whole."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.http.bodies import ChunkedBody, HeldBytes, ProtocolError, ReplyMemory, decompress
from harness.load.http.wire import HeadCache, ResponseReader

LARGE = 100_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE


@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_chunks_are_put_together_however_their_bytes_are_cut(chunks: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX-T: t\r\n\r\n"
    places = sorted(draw.draw(st.sets(st.integers(1, len(data) - 1))))
    body = ChunkedBody()
    for begin, end in zip([0, *places], [*places, len(data)], strict=True):
        assert body.content is None
        body.feed(data[begin:end])
    assert bytes(body.content or b"") == b"".join(chunks)
    assert not body.surplus


@pytest.mark.parametrize(
    "wrong",
    [
        b"zz\r\n", b"-1\r\nx\r\n", b"+1\r\nx\r\n", b"1\nx\n", b"1\r\nxx\r\n", b"\r\n", b"1" * 17 + b"\r\n",
        b"1;" + b"x" * 5000, b"fffffffff\r\n", b"0\r\nno trailer\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 20_000,
    ],
)  # fmt: skip
def test_malformed_chunks_are_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        ChunkedBody().feed(wrong)


def test_a_million_bytes_in_chunks_of_one_take_no_longer_per_byte_than_a_few() -> None:
    body = ChunkedBody()
    for _ in range(100):
        body.feed(b"1\r\nx\r\n" * 10_000)
        assert len(body._pending) == 0  # nothing is looked at again
    body.feed(b"0\r\n\r\n")
    assert len(body.content or b"") == 1_000_000


def test_bytes_behind_the_last_chunk_are_no_part_of_the_body() -> None:
    body = ChunkedBody()
    body.feed(b"1\r\nx\r\n0\r\n\r\nHTTP/1.1")
    assert (bytes(body.content or b""), body.surplus) == (b"x", True)


def test_a_body_of_several_gzip_members_is_decompressed_across_windows() -> None:
    parts = [bytes([number]) * 20_000 + str(number).encode() * 999 for number in range(40)]
    body = b"".join(gzip.compress(part, compresslevel=0) for part in parts)
    assert decompress([b"gzip"], body) == b"".join(parts)


def test_large_replies_count_as_long_as_somebody_has_them() -> None:
    memory = ReplyMemory(limit=3 * LARGE)
    reader = ResponseReader(HeadCache(), memory)
    replies = [reader.feed(HEAD + bytes(LARGE), "GET")]
    assert LARGE <= memory.used < LARGE + len(HEAD)
    replies.append(reader.feed(HEAD[:-4] + b"\r\nX: 2\r\n\r\n" + bytes(LARGE), "GET"))
    with pytest.raises(ProtocolError, match="together"):
        reader.feed(HEAD[:-4] + b"\r\nX: 3\r\n\r\n" + bytes(LARGE), "GET")
    reader.reset()
    replies.clear()
    assert memory.used == 0


def test_what_is_under_way_counts_until_it_is_given_up() -> None:
    memory = ReplyMemory(limit=LARGE)
    reader = ResponseReader(HeadCache(), memory)
    assert reader.feed(HEAD + bytes(LARGE // 2), "GET") is None
    assert memory.used > LARGE // 2
    with pytest.raises(ProtocolError, match="together"):
        ResponseReader(HeadCache(), memory).feed(HEAD + bytes(LARGE // 2), "GET")
    reader.reset()
    assert memory.used == 0


def test_small_replies_are_not_counted() -> None:
    memory = ReplyMemory(limit=1000)
    assert not isinstance(memory.hold(bytes(2000)), HeldBytes)
    assert memory.used == 0
