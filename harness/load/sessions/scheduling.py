"""What acts for a session, and what decides when: the contract between sessions and workloads."""

from typing import Protocol

from harness.load.sessions.behaviour import Behaviour


class Actor(Protocol):
    """What sends for a session: the session itself, or its WebSocket."""

    t_intended: int

    @property
    def user(self) -> Behaviour:
        """The session's user."""

    @property
    def retired(self) -> bool:
        """Whether its user has left."""

    @property
    def requests(self) -> int:
        """How many requests and messages the session has sent so far."""

    def send(self, now: int) -> None:
        """Send what comes next; ``t_intended`` is set."""

    def wake(self, now: int) -> None:
        """Send what comes next, after a pause."""


class Workload(Protocol):
    """Decides when sessions act."""

    @property
    def dropped(self) -> int:
        """How many arrivals found no room and were given up."""

    def schedule(self, session: Actor, now: int) -> None:
        """Call ``session.send()`` when the session's next request or message is due."""

    def on_session_end(self, session: Actor, now: int) -> None:
        """Take note that the session's generator has ended."""
