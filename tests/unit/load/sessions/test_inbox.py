"""What is kept for a session that does not receive its messages."""

from harness.load.http.response import Head, Response
from harness.load.sessions.inbox import MAX_UNREAD, MAX_UNREAD_BYTES, Inbox


def message(body: bytes) -> Response:
    return Response(Head(b"", 101, []), 101, body)


def filled(*bodies: bytes) -> Inbox:
    inbox = Inbox()
    for body in bodies:
        inbox.put(message(body))
    return inbox


def test_the_oldest_message_is_taken_first() -> None:
    inbox = filled(b"a", b"b")
    assert [inbox.take().body for _ in range(len(inbox))] == [b"a", b"b"]


def test_of_too_many_messages_the_oldest_go() -> None:
    inbox = filled(*(b"%d" % number for number in range(MAX_UNREAD + 5)))
    assert (len(inbox), inbox.take().body) == (MAX_UNREAD, b"5")


def test_of_too_many_bytes_the_oldest_go() -> None:
    half = bytes(MAX_UNREAD_BYTES // 2)
    inbox = filled(b"first", half, half)
    assert [inbox.take().body for _ in range(len(inbox))] == [half, half]


def test_the_newest_message_stays_however_large_it_is() -> None:
    huge = bytes(MAX_UNREAD_BYTES + 1)
    assert filled(b"a", huge).take().body == huge


def test_what_was_taken_or_cleared_leaves_room() -> None:
    half = bytes(MAX_UNREAD_BYTES // 2)
    inbox = filled(half, half)
    inbox.take()
    inbox.put(message(half))
    assert len(inbox) == 2
    inbox.clear()
    inbox.put(message(half))
    inbox.put(message(half))
    assert len(inbox) == 2
