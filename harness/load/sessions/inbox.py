"""The messages and events that came to a session and that it has not received yet."""

from collections import deque

from harness.load.http.response import Response

#: What is kept for a session that does not receive it; then the oldest go. The newest stays, however large it is.
MAX_UNREAD, MAX_UNREAD_BYTES = 1000, 256 * 1024


class Inbox:
    """Keeps messages in their order."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self) -> None:
        self._messages: deque[Response] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Response) -> None:
        """Add the newest message."""
        self._messages.append(message)
        self._bytes += len(message.body)
        while len(self) > MAX_UNREAD or (self._bytes > MAX_UNREAD_BYTES and len(self) > 1):
            self.take()

    def take(self) -> Response:
        """Remove the oldest message and return it."""
        message = self._messages.popleft()
        self._bytes -= len(message.body)
        return message

    def clear(self) -> None:
        """Remove all."""
        self._messages.clear()
        self._bytes = 0
