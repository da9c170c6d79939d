import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.load.workers.reliable_channel import MESSAGE, ReliableChannel

# isort: split

from locust.exception import RPCError

Sent = list[tuple[str, Mapping[str, Any]]]


class Ends:
    """Two ends and what is on its way between them."""

    def __init__(self) -> None:
        self.there: Sent = []
        self.back: Sent = []
        self.delivered: list[Any] = []
        self.ours = ReliableChannel(lambda kind, data: self.there.append((kind, data)), lambda payload: None)
        self.theirs = ReliableChannel(lambda kind, data: self.back.append((kind, data)), self.delivered.append)

    def carry(self, chance: random.Random, lose: float) -> None:
        """Bring some of it over, in any order, some of it twice, and lose some."""
        for way, end in ((self.there, self.theirs), (self.back, self.ours)):
            carried, way[:] = way[:] * 2, []
            chance.shuffle(carried)
            for kind, data in carried:
                if chance.random() >= lose:
                    (end.on_message if kind == MESSAGE else end.on_ack)(data)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.8]))
def test_every_message_is_delivered_once_and_in_order_whatever_the_network_does(seed: int, lose: float) -> None:
    ends, chance = Ends(), random.Random(seed)
    for number in range(20):
        ends.ours.send({"event": number})
        ends.carry(chance, lose)
    for _ in range(1000):
        if not ends.ours.unacknowledged:
            break
        ends.ours.retransmit()
        ends.theirs.retransmit()
        ends.carry(chance, lose)
    assert ends.delivered == [{"event": number} for number in range(20)]
    assert ends.ours.unacknowledged == 0


def test_a_message_that_cannot_be_sent_now_waits() -> None:
    def broken(kind: str, data: Any) -> None:
        raise RPCError

    end = ReliableChannel(broken, lambda payload: None)
    end.send({"event": "hello"})
    assert end.unacknowledged == 1
