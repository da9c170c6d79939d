"""What a session yields: a Request or a Pause, and the Client that makes them."""

import json as jsonlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.load.reply import Reply

JSON_TYPE = "application/json"
_MOST_PLAIN = 10_000
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
    reads: "Callable[[Reply], Any] | None"
    check: "Callable[[Reply], bool] | None"
    follow: int = 0  # redirects within the target that are followed


class Pause(NamedTuple):
    """Yielded in place of a request: do nothing for so many seconds."""

    seconds: float


class Client:
    """Makes the requests of one session; it sends nothing itself."""

    __slots__ = ("_plain", "number")

    def __init__(self, number: int, plain: dict[str, Request] | None = None) -> None:
        self.number = number  # the session's, from 1
        self._plain = {} if plain is None else plain  # GETs without options by their path; sessions may share them

    @property
    def user(self) -> str:
        """Who this session's client says it is (``X-User``)."""
        return f"u{self.number}"

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        writes: Any = None,
        reads: "Callable[[Reply], Any] | None" = None,
        name: str | None = None,
        check: "Callable[[Reply], bool] | None" = None,
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
            if len(self._plain) >= _MOST_PLAIN:
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
