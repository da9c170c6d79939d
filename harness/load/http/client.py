"""What a session yields: requests, pauses, and steps on a WebSocket; and the Client that makes them."""

import json as jsonlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.load.http.response import Response

JSON_TYPE = "application/json"
_MAX_CACHED = 10_000
FORM_TYPE = "application/x-www-form-urlencoded"


class Request(NamedTuple):
    """One request, immutable. A tuple, since one is made for every request that is sent."""

    method: str
    path: str
    name: str  # what it is counted under; "" means its method and path
    body: bytes
    content_type: str  # "" where there is no body
    headers: Mapping[str, str] | None
    writes: Any  # the value written, for the model; None for a read
    reads: "Callable[[Response], Any] | None"
    check: "Callable[[Response], bool] | None"
    follow: int = 0  # redirects within the target that are followed


class Sleep(NamedTuple):
    """Yielded in place of a request: do nothing for so many seconds."""

    seconds: float


class Connect(NamedTuple):
    """Open a WebSocket, the session's one; an earlier one is left."""

    path: str
    name: str
    headers: Mapping[str, str] | None
    room: str  # whose messages are due on it; "" where the judge need not know
    reads: "Callable[[Response], Any]"
    check: None = None


class Message(NamedTuple):
    """Send one message. ``answer`` tells its answer among the messages that come; without one none is waited for."""

    body: bytes
    text: bool
    name: str
    writes: Any
    reads: "Callable[[Response], Any] | None"
    check: "Callable[[Response], bool] | None"
    answer: "Callable[[Response], bool] | None"

    def encode(self, op: int) -> bytes:
        """What is sent: a JSON object that writes says which write it is."""
        if self.writes is None or not self.body.startswith(b"{"):
            return self.body
        return b'{"op":"%016x"%b%b' % (op, b"" if self.body == b"{}" else b",", self.body[1:])


class Listen(NamedTuple):
    """Wait for what comes unasked: for the next message if ``once``, else for all of the time."""

    seconds: float
    once: bool


class Disconnect(NamedTuple):
    """Leave the WebSocket by a closing handshake."""


def _shows_nothing(_: "Response") -> None:
    """An upgrade says nothing of the session's state."""


class Client:
    """Makes the requests of one session; it sends nothing itself.

    ``latest`` is the last message that its WebSocket brought unasked, of any of its connections.
    """

    __slots__ = ("_plain", "latest", "number", "user")

    def __init__(self, number: int, plain: dict[str, Request] | None = None, user: str = "") -> None:
        self.number = number  # the session's, from 1
        self.user = user or f"u{number}"  # who this session's client says it is (``X-User``)
        self._plain = {} if plain is None else plain  # GETs without options by their path; sessions may share them
        self.latest: Response | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        writes: Any = None,
        reads: "Callable[[Response], Any] | None" = None,
        name: str | None = None,
        check: "Callable[[Response], bool] | None" = None,
        follow: int = 0,
    ) -> Request:
        """A request of ``method`` to ``path`` (with its query).

        Args:
            method: ``GET``, ``POST``, ...
            path: begins with ``/``.
            json: a body to send as JSON. ``data`` is a body as it is.
            data: bytes, or text sent as a form.
            headers: further headers.
            writes: marks a write; the value is what the model of the session's state is told.
            reads: how to observe the reply, in place of the user's ``observe``.
            name: what to count it under, in place of method and path. Give one where paths hold ids.
            check: whether the content of an ok reply is what was asked for.
            follow: how many redirects in a row to follow, where they lead to the same host; the reply is then the
                last one, and the request ends with it. One that leads elsewhere, or one too many, is the reply itself.

        Raises:
            UsageError: both ``json`` and ``data``.
        """
        body, content_type = b"", ""
        if json is not None:
            if data is not None:
                raise UsageError("a request has json= or data=, not both")
            body, content_type = jsonlib.dumps(json, separators=(",", ":")).encode(), JSON_TYPE
        elif data is not None:
            body = data.encode() if isinstance(data, str) else data
            content_type = FORM_TYPE if isinstance(data, str) else "application/octet-stream"
        return Request(method, path, name or "", body, content_type, headers, writes, reads, check, follow)

    def get(self, path: str, **options: Any) -> Request:
        """A GET; options as of ``request``."""
        if options:
            return self.request("GET", path, **options)
        found = self._plain.get(path)
        if found is None:
            if len(self._plain) >= _MAX_CACHED:
                self._plain.clear()
            found = self._plain[path] = self.request("GET", path)
        return found

    def post(self, path: str, **options: Any) -> Request:
        """A POST; options as of ``request``."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Request:
        """A PUT; options as of ``request``."""
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Request:
        """A DELETE; options as of ``request``."""
        return self.request("DELETE", path, **options)

    def connect(
        self, path: str, *, room: str = "", headers: Mapping[str, str] | None = None, name: str | None = None
    ) -> Connect:
        """Open a WebSocket at ``path`` (with its query); the reply has status 101 where it stands.

        ``room`` says whose messages are due here: those of all sessions that gave the same word.
        """
        return Connect(path, name or "", headers, room, _shows_nothing)

    def send(
        self,
        *,
        json: Mapping[str, Any] | None = None,
        data: bytes | str | None = None,
        writes: Any = None,
        reads: "Callable[[Response], Any] | None" = None,
        check: "Callable[[Response], bool] | None" = None,
        answer: "Callable[[Response], bool] | None" = None,
        name: str | None = None,
    ) -> Message:
        """A message on the WebSocket; ``writes``, ``reads``, ``check`` and ``name`` as of ``request``.

        A JSON message that writes carries its operation id as ``op``, and its answer is the message that has the same.
        Otherwise ``answer`` says of a message that came whether it is the answer; without it none is waited for.

        Raises:
            UsageError: not either ``json`` or ``data``; or a write of which nobody could tell the answer.
        """
        if (json is None) == (data is None):
            raise UsageError("a message has either json= or data=")
        if data is not None and writes is not None and answer is None:
            raise UsageError("only a JSON message can carry its write's id", "say with answer= which message answers")
        text = not isinstance(data, bytes)
        body = jsonlib.dumps(json, separators=(",", ":")) if data is None else data
        return Message(body.encode() if isinstance(body, str) else body, text, name or "", writes, reads, check, answer)

    def receive(self, timeout: float = 10.0) -> Listen:
        """The next message that came unasked: status 101; 204 where none comes in so many seconds, 0 on a break."""
        return Listen(timeout, True)

    def listen(self, seconds: float) -> Listen:
        """Take in all that comes for so long: status 204; 0, and at once, where the connection breaks."""
        return Listen(seconds, False)

    def disconnect(self) -> Disconnect:
        """Leave the WebSocket."""
        return Disconnect()
