"""What a user brings to a session: its requests, and how a reply to them is understood."""

from collections.abc import Generator, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from harness.load.http.client import Client, Connect, Disconnect, Listen, Message, Request, Sleep, Subscribe
from harness.load.http.response import Response
from harness.load.sessions.carriers import Carrier
from harness.load.sessions.gone import Sign
from harness.oracle.models import ModelFactory
from harness.oracle.observed import Tally, decode_tally, tally_from_json

#: What a session's generator yields: the steps of a session in their order.
Step = Request | Sleep | Connect | Subscribe | Message | Listen | Disconnect
#: A list of requests sends them at once; it is answered by the list of their replies.
SessionSteps = Generator[Step | list[Request], Any, None]


#: No built-in target shows more; what a ledger keeps of a reply is bounded by it.
_MAX_TALLY_BYTES = 256 * 1024
#: The values of ``cookies`` and ``browser``: what becomes of old cookies, and which devices share a jar.
BROWSER, IMMORTAL = "browser", "immortal"
OWN, SHARED = "own", "shared"


def steps_of(final: Request | SessionSteps | None) -> SessionSteps:
    """The steps of a final read, however few."""
    if isinstance(final, Generator):
        yield from final
    elif final:
        yield final


def no_steps() -> SessionSteps:
    """A final read that reads nothing."""
    yield from ()


class Behaviour(Protocol):
    """What a session asks of its user; ``SessionUser`` has it."""

    model: ClassVar[ModelFactory]
    timeout: float
    devices: ClassVar[int]
    cookies: ClassVar[str]
    browser: ClassVar[str]

    def session(self, client: Client, /) -> SessionSteps:
        """The steps of one session."""

    def final(self, client: Client, /) -> Request | SessionSteps | None:
        """The read that the sweep makes, or the steps that end with it."""

    def observe(self, reply: Response, /) -> Any:
        """What an ok reply, or one that forces a login, shows of the stored session."""

    def forced_login(self, reply: Response, /) -> bool:
        """Whether a reply sends the session back to the login."""

    def wait_time(self) -> float:
        """Seconds between two requests."""


class DefaultBehaviour:
    """How a reply is understood unless a user overrides it."""

    #: The path of the login, whole (a slash at its end does not matter), or a pattern of it such as ``/*/login``.
    login_page: ClassVar[str] = "/login"
    devices: ClassVar[int] = 1
    carries: ClassVar[Carrier | Sequence[Carrier]] = ()
    gone: ClassVar[Sign | tuple[Sign, ...] | None] = None
    cookies: ClassVar[str] = BROWSER
    browser: ClassVar[str] = OWN

    def observe(self, reply: Response, /) -> Any:
        """What an ok reply, or one that forces a login, shows of the stored session.

        A ``Tally``, an ``Observed``, the state itself for the ``model``, or None for nothing. By default the JSON's
        ``session`` (docs/wire.md). ``harness.recipes`` has values to set in its place, such as ``Json("cart.items")``.
        """
        return parse_tally(reply)

    def forced_login(self, reply: Response, /) -> bool:
        """Whether a reply sends a live session back to the login; by default a 401, or a redirect to ``login_page``."""
        if 300 <= reply.status < 400:
            path = urlsplit(reply.headers.get("location", "")).path
            return fnmatchcase(path.rstrip("/") or "/", self.login_page.rstrip("/") or "/")
        return reply.status == 401


def parse_tally(reply: Response) -> Tally | None:
    """The built-in targets' account of the session in a reply; None if there is none, or it is absurdly large."""
    body = reply.body
    if len(body) > _MAX_TALLY_BYTES:
        return None
    try:
        return decode_tally(body)
    except ValueError:
        return tally_from_json(reply.json()) if body.startswith(b"{") else None
