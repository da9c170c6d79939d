"""Messages between a worker and its master: numbered, acknowledged, each delivered once and in order.

They ride on Locust's own messages, which a reset of its connection may swallow, repeat or overtake.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust.exception import RPCError

#: Locust's types of messages.
MESSAGE, ACK = "harness_message", "harness_ack"
#: How often a message that was not acknowledged is sent again, and each end shows that it is alive.
RETRANSMIT_INTERVAL_S = 1.0

Payload = Mapping[str, Any]


class ReliableChannel:
    """One end. ``transmit(type, data)`` may lose what it is given; ``deliver`` gets what the other end sends."""

    def __init__(self, transmit: Callable[[str, Any], None], deliver: Callable[[Payload], None]) -> None:
        self._transmit = transmit
        self._deliver = deliver
        self._sent = self._received = 0
        self._unacknowledged: deque[tuple[int, Payload]] = deque()
        self._last_received = time.monotonic()

    @property
    def unacknowledged(self) -> int:
        """How many messages the other end has not acknowledged."""
        return len(self._unacknowledged)

    @property
    def silent_s(self) -> float:
        """For how long nothing has come from the other end."""
        return time.monotonic() - self._last_received

    def send(self, payload: Payload) -> None:
        """Send a message; again, until it is acknowledged."""
        self._sent += 1
        self._unacknowledged.append((self._sent, payload))
        self._try(MESSAGE, {"n": self._sent, "payload": payload})

    def on_message(self, data: Mapping[str, Any]) -> None:
        """Deliver a message if it is the next, and acknowledge all up to there."""
        self._last_received = time.monotonic()
        if data["n"] == self._received + 1:
            self._received += 1
            self._deliver(data["payload"])
        self._try(ACK, {"n": self._received})

    def on_ack(self, data: Mapping[str, Any]) -> None:
        """Take note that the other end has all messages up to there."""
        self._last_received = time.monotonic()
        while self._unacknowledged and self._unacknowledged[0][0] <= data["n"]:
            self._unacknowledged.popleft()

    def retransmit(self) -> None:
        """Send again what is not acknowledged, and how far the other end's messages have come."""
        for number, payload in tuple(self._unacknowledged):
            self._try(MESSAGE, {"n": number, "payload": payload})
        self._try(ACK, {"n": self._received})

    def _try(self, kind: str, data: Any) -> None:
        try:
            self._transmit(kind, data)
        except RPCError:
            return  # lost; see ``retransmit``
