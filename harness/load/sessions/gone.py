"""What says that a session is gone: replies that prove that the service does not know it.

Set one as a user's ``gone``. ``a | b`` matches where either does, as does the tuple of both; ``a & b`` where both do.
``Body`` (``harness.load.sessions.carriers``) is one more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.load.http.response import Response
from harness.load.sessions.json_rpc import messages_of


class Sign:
    """A sign in a reply that its session is gone."""

    def matches(self, reply: Response) -> bool:
        """Whether the reply shows it."""
        raise NotImplementedError

    def __or__(self, other: "Sign") -> "Sign":
        return Combined(any, (self, other))

    def __and__(self, other: "Sign") -> "Sign":
        return Combined(all, (self, other))


@dataclass(frozen=True)
class Combined(Sign):
    """Several signs, of which ``how`` many must match: ``any`` or ``all``."""

    how: Callable[[Iterator[bool]], bool]
    signs: tuple[Sign, ...]

    def matches(self, reply: Response) -> bool:
        """Whether enough of them match."""
        return self.how(sign.matches(reply) for sign in self.signs)


class Status(Sign):
    """A status, or one of several: ``Status(404, 410)``."""

    def __init__(self, *codes: int) -> None:
        self.codes = frozenset(codes)

    def matches(self, reply: Response) -> bool:
        """Whether the reply has the status."""
        return reply.status in self.codes


@dataclass(frozen=True)
class JsonRpcError(Sign):
    """A JSON-RPC error, by its code or by a text of its message; also inside an event stream."""

    what: int | str

    def matches(self, reply: Response) -> bool:
        """Whether the reply is that error."""
        return any(self._is_it(message["error"]) for message in messages_of(reply) if "error" in message)

    def _is_it(self, error: object) -> bool:
        if not isinstance(error, dict):
            return False
        if isinstance(self.what, int):
            return error.get("code") == self.what
        return self.what in str(error.get("message", ""))


def sign_of(user: object) -> Sign | None:
    """What a user declares as ``gone``."""
    declared = getattr(type(user), "gone", None)
    return Combined(any, tuple(declared)) if isinstance(declared, tuple) else declared
