"""What acts in place of a session while a step of it takes several exchanges."""

from typing import Generic, Protocol, TypeVar

from harness.load.sessions.behaviour import Behaviour


class Represented(Protocol):
    """A session as a workload knows it."""

    user: Behaviour
    retired: bool
    requests: int


OwnerT = TypeVar("OwnerT", bound=Represented)


class StandIn(Generic[OwnerT]):
    """Answers a workload's questions for its session."""

    session: OwnerT

    @property
    def user(self) -> Behaviour:
        """The session's user."""
        return self.session.user

    @property
    def retired(self) -> bool:
        """Whether its user has left."""
        return self.session.retired

    @property
    def requests(self) -> int:
        """How many requests and messages the session has sent so far."""
        return self.session.requests
