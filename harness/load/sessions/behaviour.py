"""What a user brings to a session: its requests, and how a reply to them is understood."""

from collections.abc import Generator
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from harness.load.http.client import Client, Connect, Disconnect, Listen, Message, Request, Sleep
from harness.load.http.response import Response
from harness.oracle.models import ModelFactory
from harness.oracle.observed import Tally, decode_tally, tally_from_json

#: What a session's generator yields: the steps of a session in their order.
Step = Request | Sleep | Connect | Message | Listen | Disconnect
SessionSteps = Generator[Step, Response, None]


class Behaviour(Protocol):
    """What a session asks of its user; ``SessionUser`` has it."""

    model: ClassVar[ModelFactory]
    timeout: float
    devices: ClassVar[int]

    def session(self, client: Client, /) -> SessionSteps:
        """The steps of one session."""

    def final(self, client: Client, /) -> Request | None:
        """The read that the sweep makes."""

    def observe(self, reply: Response, /) -> Any:
        """What an ok reply, or one that forces a login, shows of the stored session."""

    def forced_login(self, reply: Response, /) -> bool:
        """Whether a reply sends the session back to the login."""

    def wait_time(self) -> float:
        """Seconds between two requests."""


class DefaultBehaviour:
    """How a reply is understood unless a user overrides it."""

    login_page: ClassVar[str] = "/login"
    devices: ClassVar[int] = 1

    def observe(self, reply: Response, /) -> Any:
        """What an ok reply, or one that forces a login, shows of the stored session.

        A ``Tally``, an ``Observed``, the state itself for the ``model``, or None for nothing. By default the JSON's
        ``session`` (docs/wire.md). ``harness.recipes`` has values to set in its place, such as ``Json("cart.items")``.
        """
        return parse_tally(reply)

    def forced_login(self, reply: Response, /) -> bool:
        """Whether a reply sends a live session back to the login; by default a 401, or a redirect to ``login_page``."""
        if 300 <= reply.status < 400:
            return urlsplit(reply.headers.get("location", "")).path.startswith(self.login_page)
        return reply.status == 401


def parse_tally(reply: Response) -> Tally | None:
    """The built-in targets' account of the session in a reply; None if there is none."""
    try:
        return decode_tally(reply.body)
    except ValueError:
        return tally_from_json(reply.json()) if reply.body.startswith(b"{") else None
