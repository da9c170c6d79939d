"""Where a session's id travels: found in a reply, and sent with every request from then on.

Set one as a user's ``carries``, or several. Cookies need none: a session's jar handles them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from harness.load.http.client import JSON_TYPE, Connect, Request, Subscribe
from harness.load.http.response import Response
from harness.load.sessions.extractors import Json, text_of
from harness.load.sessions.gone import Sign

#: Longer ids are ignored.
MAX_ID_CHARACTERS = 8192
_URL_SAFE = "%~!*'()-._:@"

Sendable = TypeVar("Sendable", Request, Connect, Subscribe)


class Carrier:
    """One place in which an id travels. By default it finds and sends nothing."""

    @property
    def label(self) -> str:
        """What a trace calls it, such as ``header Mcp-Session-Id``."""
        return " ".join([type(self).__name__.lower(), *(str(value) for value in vars(self).values() if value)])

    def find(self, reply: Response) -> str | None:
        """The id that a reply gives; None if it gives none, "" if it takes it away."""
        return None

    def line(self, value: str) -> bytes:
        """The header line that sends the id; empty if it does not travel in a header."""
        return b""

    def place(self, step: Sendable, value: str) -> Sendable:
        """A request or upgrade that sends the id in its path, query or body."""
        return step


@dataclass(frozen=True)
class Header(Carrier):
    """A header of replies and, in ``carries``, of requests.

    As ``observe`` or ``reads`` it shows the header's value, as a number if it is one.
    """

    name: str
    missing: str | int | None = None

    def __call__(self, reply: Response) -> str | int | None:
        """The value."""
        value = self.find(reply)
        if value is None:
            return self.missing
        return int(value) if value.isdecimal() and len(value) < 20 else value

    def find(self, reply: Response) -> str | None:
        """The header's value."""
        return reply.headers.get(self.name.lower())

    def line(self, value: str) -> bytes:
        """The same header."""
        return f"{self.name}: {value}\r\n".encode("latin-1")


@dataclass(frozen=True)
class Cookie(Carrier):
    """A cookie: says which of them is the session's id. The session's jar sends it anyway."""

    name: str


@dataclass(frozen=True)
class Bearer(Carrier):
    """``Authorization: Bearer``: the token stands in a reply's JSON at ``path``, such as ``tokens.access``."""

    path: str = "access_token"

    def find(self, reply: Response) -> str | None:
        """The token."""
        return _text(Json(self.path)(reply))

    def line(self, value: str) -> bytes:
        """The header."""
        return f"Authorization: Bearer {value}\r\n".encode("latin-1")


@dataclass(frozen=True)
class Query(Carrier):
    """A parameter of the URL, such as ``sid``.

    It is found where a reply's ``Location`` or body has it in a URL, or where its JSON has a text of that name; with a
    ``pattern``, in the first group that this matches. A path that has the parameter already is sent as it is.
    """

    name: str
    pattern: str | None = None

    @property
    def label(self) -> str:
        """The name alone."""
        return f"query {self.name}"

    def find(self, reply: Response) -> str | None:
        """The value in a URL or in JSON."""
        name = re.escape(self.name)
        pattern = self.pattern or rf'[?&;]{name}=([^&#\s"\'<>;]+)|"{name}"\s*:\s*"([^"\\]+)"'
        return _first_group(pattern, reply)

    def place(self, step: Sendable, value: str) -> Sendable:
        """The path with the parameter."""
        path, _, query = step.path.partition("?")
        if re.search(rf"(?:^|&){re.escape(self.name)}=", query):
            return step
        parameter = f"{self.name}={quote(value, safe=_URL_SAFE)}"
        return _moved(step, f"{path}?{query}{'&' if query else ''}{parameter}")


@dataclass(frozen=True)
class Path(Carrier):
    """A parameter of the path, such as ``/cart;jsessionid=...``, found in a reply's ``Location`` or links."""

    name: str = "jsessionid"

    def find(self, reply: Response) -> str | None:
        """The value in a URL."""
        return _first_group(rf""";{re.escape(self.name)}=([^?#;&/\s"'<>]+)""", reply)

    def place(self, step: Sendable, value: str) -> Sendable:
        """The path with the parameter."""
        path, mark, query = step.path.partition("?")
        if f";{self.name}=" in path:
            return step
        return _moved(step, f"{path};{self.name}={quote(value, safe=_URL_SAFE)}{mark}{query}")


@dataclass(frozen=True)
class Body(Carrier, Sign):
    """In ``carries``: a value in the JSON of replies and requests, by its path such as ``session.id``.

    In ``gone``: a text that the body of a reply contains.
    """

    text: str

    def matches(self, reply: Response) -> bool:
        """Whether the reply's body contains the text."""
        return self.text in text_of(reply)

    def find(self, reply: Response) -> str | None:
        """The value at that path."""
        return _text(Json(self.text)(reply))

    def place(self, step: Sendable, value: str) -> Sendable:
        """The body with the value at the same path, if it is a JSON object."""
        if not isinstance(step, Request) or step.content_type != JSON_TYPE or not step.body.startswith(b"{"):
            return step
        content = json.loads(step.body)
        *parents, last = self.text.split(".")
        inner: Any = content
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                return step
        inner[last] = value
        return step._replace(body=json.dumps(content, separators=(",", ":")).encode())


class CarriedIds:
    """The ids of one session, by what carries them."""

    __slots__ = ("_carriers", "_ids", "lines")

    def __init__(self, carriers: Sequence[Carrier]) -> None:
        self._carriers = carriers
        self._ids: dict[Carrier, str] = {}
        self.lines = b""  # the headers that send them

    def __bool__(self) -> bool:
        return bool(self._ids)

    def take(self, reply: Response) -> Iterator[tuple[Carrier, str, str]]:
        """Take what a reply gives or takes away; yields each change: the carrier, the old id, the new one."""
        for carrier in self._carriers:
            value, known = carrier.find(reply), self._ids.get(carrier, "")
            if value is None or value == known:
                continue
            if len(value) > MAX_ID_CHARACTERS or not value.isascii() or not value.isprintable():
                continue
            if value:
                self._ids[carrier] = value
            else:
                del self._ids[carrier]
            self._write_lines()
            yield carrier, known, value

    def copy(self) -> "CarriedIds":
        """The same ids."""
        copied = CarriedIds(self._carriers)
        copied.copy_from(self)
        return copied

    def copy_from(self, other: "CarriedIds") -> None:
        """Replace all by the current ones of another session."""
        self._ids = dict(other._ids)
        self._write_lines()

    def place(self, step: Sendable) -> Sendable:
        """A request or upgrade with the ids that do not travel in a header."""
        for carrier, value in self._ids.items():
            step = carrier.place(step, value)
        return step

    def _write_lines(self) -> None:
        self.lines = b"".join(carrier.line(value) for carrier, value in self._ids.items())


def carriers_of(user: object) -> tuple[Carrier, ...]:
    """What a user declares as ``carries``."""
    declared = getattr(type(user), "carries", ())
    return (declared,) if isinstance(declared, Carrier) else tuple(declared)


def _text(value: object) -> str | None:
    """An id as text; None if it is not one."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _first_group(pattern: str, reply: Response) -> str | None:
    """What a pattern's first group that took part matched, in the reply's ``Location`` or else in its body."""
    for text in (reply.headers.get("location", ""), text_of(reply)):
        if match := re.search(pattern, text):
            return next(group for group in match.groups() if group is not None)
    return None


def _moved(step: Sendable, path: str) -> Sendable:
    """The step with another path, under the name that it had."""
    method = step.method if isinstance(step, Request) else "OPEN"
    return step._replace(path=path, name=step.name or f"{method} {step.path.partition('?')[0]}")
