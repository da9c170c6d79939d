import pytest

from harness.load.http.bodies import ProtocolError
from harness.load.http.server_sent_events import MAX_EVENT_BYTES, EventDecoder, ServerSentEvent, events_of
from tests.unit.load.sessions.test_extractors import reply

STREAM = b"\xef\xbb\xbf: hello\r\nevent: cart\r\nid: 7\r\ndata: one\r\ndata: two\r\n\r\ndata:three\n\nid: 8\n\ndata\r\r"
EVENTS = [
    ServerSentEvent(b"one\ntwo", "cart", "7"),
    ServerSentEvent(b"three", "message", "7"),
    ServerSentEvent(b"", "message", "8"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_the_bytes_arrive(size: int) -> None:
    decoder = EventDecoder()
    pieces = [STREAM[begin : begin + size] for begin in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == EVENTS


def test_an_event_without_its_empty_line_is_none() -> None:
    assert list(EventDecoder().feed(b"data: cut off\n")) == []


def test_an_event_that_is_too_long_ends_the_stream() -> None:
    decoder = EventDecoder()
    with pytest.raises(ProtocolError):
        for _ in range(3):
            list(decoder.feed(b"data: " + b"x" * (MAX_EVENT_BYTES // 2)))


def test_the_events_of_a_whole_reply() -> None:
    assert events_of(reply(b"data: 1\n\n", "Content-Type: text/event-stream; charset=utf-8\r\n"))[0].data == b"1"
    assert events_of(reply(b"data: 1\n\n", "Content-Type: text/plain\r\n")) == ()
