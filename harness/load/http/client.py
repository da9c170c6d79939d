"""The steps that a session yields (requests, pauses, WebSocket steps), and the Client that creates them."""

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
    """One request, immutable. A tuple is cheap: one is created for every request that is sent."""

    method: str
    path: str
    name: str  # the name in statistics; "" means method and path
    body: bytes
    content_type: str  # "" if there is no body
    headers: Mapping[str, str] | None
    writes: Any  # the value written, for the model of the session; None for a read
    reads: "Callable[[Response], Any] | None"
    check: "Callable[[Response], bool] | None"
    follow: int = 0  # how many redirects within the target to follow


class Sleep(NamedTuple):
    """A step that waits for ``seconds``."""

    seconds: float


class Connect(NamedTuple):
    """Open the session's WebSocket; an earlier one is closed."""

    path: str
    name: str
    headers: Mapping[str, str] | None
    room: str  # messages of all sessions in the same room are expected on it; "" to expect none
    reads: "Callable[[Response], Any]"
    check: None = None


class Message(NamedTuple):
    """Send one message. ``answer`` recognises its answer among the incoming messages; without it, none is awaited."""

    body: bytes
    text: bool
    name: str
    writes: Any
    reads: "Callable[[Response], Any] | None"
    check: "Callable[[Response], bool] | None"
    answer: "Callable[[Response], bool] | None"

    def encode(self, op: int) -> bytes:
        """The bytes to send; a JSON object that writes gets the id of its write as ``op`` (16 hex digits)."""
        if self.writes is None or not self.body.startswith(b"{"):
            return self.body
        return b'{"op":"%016x"%b%b' % (op, b"" if self.body == b"{}" else b",", self.body[1:])


class Listen(NamedTuple):
    """Wait for unsolicited messages: for the next one if ``once``, otherwise for all of ``seconds``."""

    seconds: float
    once: bool


class Disconnect(NamedTuple):
    """Close the WebSocket with a closing handshake."""


def _observe_nothing(_: "Response") -> None:
    """The response to an upgrade does not show the session's state."""


class Client:
    """Creates the requests of one session; it sends nothing.

    ``latest`` is the last unsolicited message on any WebSocket of this session.
    """

    __slots__ = ("_plain_gets", "latest", "number", "user")

    def __init__(self, number: int, plain_gets: dict[str, Request] | None = None, user: str = "") -> None:
        self.number = number  # the session's number, from 1
        self.user = user or f"u{number}"  # sent as ``X-User``
        # GETs without options, by path; sessions may share them
        self._plain_gets = {} if plain_gets is None else plain_gets
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
        """A request with ``method`` to ``path`` (including the query).

        Args:
            method: ``GET``, ``POST``, ...
            path: begins with ``/``.
            json: a body to encode as JSON. Or ``data``: bytes to send unchanged, or text to send as a form.
            headers: additional headers.
            writes: marks a write; the value is passed to the model of the session's state.
            reads: how to observe the response, instead of the user's ``observe``.
            name: the name in statistics, instead of method and path. Set it if paths contain ids.
            check: returns whether the content of an ok response is the requested one.
            follow: how many consecutive redirects to follow within the same host. The last response is the result.
                A redirect to another host, or one too many, is not followed and becomes the result.

        Raises:
            UsageError: both ``json`` and ``data`` are given.
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
        """A GET; for the options see ``request``."""
        if options:
            return self.request("GET", path, **options)
        request = self._plain_gets.get(path)
        if request is None:
            if len(self._plain_gets) >= _MAX_CACHED:
                self._plain_gets.clear()
            request = self._plain_gets[path] = self.request("GET", path)
        return request

    def post(self, path: str, **options: Any) -> Request:
        """A POST; for the options see ``request``."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Request:
        """A PUT; for the options see ``request``."""
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Request:
        """A DELETE; for the options see ``request``."""
        return self.request("DELETE", path, **options)

    def connect(
        self, path: str, *, room: str = "", headers: Mapping[str, str] | None = None, name: str | None = None
    ) -> Connect:
        """Open a WebSocket at ``path`` (including the query); the response has status 101 if it is open.

        Messages of all sessions with the same ``room`` are expected on it.
        """
        return Connect(path, name or "", headers, room, _observe_nothing)

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
        """A message on the WebSocket; for ``writes``, ``reads``, ``check`` and ``name`` see ``request``.

        A JSON message that writes carries its operation id as ``op``, and the message with the same ``op`` is its
        answer. Otherwise ``answer`` returns whether an incoming message is the answer; without it, none is awaited.

        Raises:
            UsageError: neither or both of ``json`` and ``data``; or no way to recognise the answer to a write.
        """
        if (json is None) == (data is None):
            raise UsageError("a message has either json= or data=")
        if data is not None and writes is not None and answer is None:
            raise UsageError("only a JSON message can carry the id of its write", "recognise its answer with answer=")
        text = not isinstance(data, bytes)
        body = jsonlib.dumps(json, separators=(",", ":")) if data is None else data
        return Message(body.encode() if isinstance(body, str) else body, text, name or "", writes, reads, check, answer)

    def receive(self, timeout: float = 10.0) -> Listen:
        """Wait for the next unsolicited message: status 101; 204 if none comes in time, 0 if the connection breaks."""
        return Listen(timeout, True)

    def listen(self, seconds: float) -> Listen:
        """Receive messages for ``seconds``: status 204; status 0, immediately, if the connection breaks."""
        return Listen(seconds, False)

    def disconnect(self) -> Disconnect:
        """Close the WebSocket."""
        return Disconnect()
