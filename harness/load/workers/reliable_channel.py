"""Letters between a worker and its master: numbered, acknowledged, each delivered once and in order.

They ride on Locust's own messages, which a reset of its connection may swallow, repeat or overtake.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust.exception import RPCError

MESSAGE, ACK = "harness_letter", "harness_receipt"
#: So often what was not acknowledged is sent again, and each end tells that it is there.
RETRANSMIT_INTERVAL_S = 1.0

Letter = Mapping[str, Any]


class ReliableChannel:
    """One end of the way. ``send(type, data)`` may lose what it is given; ``deliver`` gets what the other end posts."""

    def __init__(self, send: Callable[[str, Any], None], deliver: Callable[[Letter], None]) -> None:
        self._send = send
        self._deliver = deliver
        self._sent = self._received = 0
        self._waiting: deque[tuple[int, Letter]] = deque()
        self._heard = time.monotonic()

    @property
    def waiting(self) -> int:
        """How many letters the other end has not acknowledged."""
        return len(self._waiting)

    @property
    def silent_s(self) -> float:
        """For how long the other end has said nothing."""
        return time.monotonic() - self._heard

    def post(self, letter: Letter) -> None:
        """Send a letter; again, until it is acknowledged."""
        self._sent += 1
        self._waiting.append((self._sent, letter))
        self._try(MESSAGE, {"n": self._sent, "letter": letter})

    def take(self, data: Mapping[str, Any]) -> None:
        """A letter has come: deliver it where it is the next, and acknowledge all up to there."""
        self._heard = time.monotonic()
        if data["n"] == self._received + 1:
            self._received += 1
            self._deliver(data["letter"])
        self._try(ACK, {"n": self._received})

    def acknowledged(self, data: Mapping[str, Any]) -> None:
        """The other end has all up to there."""
        self._heard = time.monotonic()
        while self._waiting and self._waiting[0][0] <= data["n"]:
            self._waiting.popleft()

    def again(self) -> None:
        """Send anew what is not acknowledged, and how far the other end's letters have come."""
        for number, letter in tuple(self._waiting):
            self._try(MESSAGE, {"n": number, "letter": letter})
        self._try(ACK, {"n": self._received})

    def _try(self, kind: str, data: Any) -> None:
        try:
            self._send(kind, data)
        except RPCError:
            return  # lost; see ``again``
