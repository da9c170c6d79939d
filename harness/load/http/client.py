"""The steps that a session yields (requests, pauses, WebSocket steps), and the Client that creates them."""

import json as jsonlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.load.http.response import Response

JSON_TYPE = "application/json"
#: As many as browsers follow.
MAX_REDIRECTS = 20
_MAX_CACHED = 10_000
FORM_TYPE = "application/x-www-form-urlencoded"


#: Stands for the id of a write (16 hex digits) in the body of a request or message that writes.
OP = "<<operation-id>>"


def fill_in(body: bytes, op: int) -> bytes:
    """The body with the id of its write."""
    return body.replace(OP.encode(), b"%016x" % op)


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
    at_head: bool = False  # follow them as soon as their heads are there
    fresh: bool = False  # sent without the ids that the session carries
    to_room: bool = False  # a message to all sessions of this one's room


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


class Subscribe(NamedTuple):
    """Open an event stream (``text/event-stream``); an earlier one, or the WebSocket, is closed."""

    path: str
    name: str
    headers: Mapping[str, str] | None
    room: str  # as for ``Connect``
    reads: "Callable[[Response], Any]"
    check: None = None

    def request(self) -> Request:
        """The request that opens it."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **(self.headers or {})}
        return Request("GET", self.path, self.name, b"", "", headers, None, self.reads, None)


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
        """The bytes to send, with the id of its write: in place of ``OP``, or else as ``op`` of a JSON object."""
        if OP.encode() in self.body:
            return fill_in(self.body, op)
        if self.writes is None or not self.body.startswith(b"{"):
            return self.body
        return b'{"op":"%016x"%b%b' % (op, b"" if self.body == b"{}" else b",", self.body[1:])


class Listen(NamedTuple):
    """Wait for unsolicited messages: for the next one if ``once``, otherwise for all of ``seconds``."""

    seconds: float
    once: bool


class Disconnect(NamedTuple):
    """Close the WebSocket with a closing handshake."""


def _encode_body(json: Any, data: bytes | str | None) -> tuple[bytes, str]:
    """A request's body and its type.

    Raises:
        UsageError: both are given.
    """
    if json is not None:
        if data is not None:
            raise UsageError("a request has json= or data=, not both")
        return jsonlib.dumps(json, separators=(",", ":")).encode(), JSON_TYPE
    if data is None:
        return b"", ""
    return (data.encode(), FORM_TYPE) if isinstance(data, str) else (data, "application/octet-stream")


def observe_nothing(_: "Response") -> None:
    """A response that does not show the session's state, such as the one to an upgrade."""


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
        follow: int | Literal["head"] = 0,
        fresh: bool = False,
        to_room: bool = False,
    ) -> Request:
        """A request with ``method`` to ``path`` (including the query).

        Args:
            path: begins with ``/``.
            json: a body to encode as JSON. Or ``data``: bytes to send unchanged, or text to send as a form.
            headers: additional headers.
            writes: marks a write; the value is passed to the model of the session's state.
            reads: how to observe the response, instead of the user's ``observe``.
            name: the name in statistics, instead of method and path. Set it if paths contain ids.
            check: returns whether the content of an ok response is the requested one.
            follow: how many consecutive redirects to follow within the same host, each as a request of its own. The
                last response is the result. A redirect to another host is not followed and becomes the result; so does
                one too many, which has failed. ``"head"`` follows as browsers do: up to 20, each as soon as its head
                is there, on another connection if its body is not.
            fresh: begins a new session: it is sent without the ids that ``carries`` has picked up so far. Cookies stay.
            to_room: the write is a message to the room of the session's stream; the body has its id in place of ``OP``.

        Raises:
            UsageError: both ``json`` and ``data`` are given.
        """
        body, content_type = _encode_body(json, data)
        limit, at_head = (MAX_REDIRECTS, True) if follow == "head" else (follow, False)
        options = (headers, writes, reads, check, limit, at_head, fresh, to_room)
        return Request(method, path, name or "", body, content_type, *options)

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
        return Connect(path, name or "", headers, room, observe_nothing)

    def stream(
        self, path: str, *, room: str = "", headers: Mapping[str, str] | None = None, name: str | None = None
    ) -> Subscribe:
        """Open an event stream at ``path``; the response has status 200 if it is open.

        ``receive`` and ``listen`` wait for its events, whose ``body`` is their data; ``headers`` has their ``event``
        and ``id``. ``disconnect`` ends it. Opened again at the same path, it resumes with ``Last-Event-ID``.
        """
        return Subscribe(path, name or "", headers, room, observe_nothing)

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
        """Wait for the next unsolicited message or event: its status is 101 or 200.

        204 means that none came in time, 0 that the connection has ended.
        """
        return Listen(timeout, True)

    def listen(self, seconds: float) -> Listen:
        """Receive messages or events for ``seconds``: status 204; status 0, immediately, if the connection ends."""
        return Listen(seconds, False)

    def disconnect(self) -> Disconnect:
        """Close the WebSocket or the event stream."""
        return Disconnect()
