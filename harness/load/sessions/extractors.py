"""How a reply shows a session's state: values to set as a user's ``observe``, or to pass as a request's ``reads=``.

Each is called with an ok reply and gives the state for the user's ``model``; where the reply does not show it,
``missing`` (None: nothing is said of the state). A page that is empty because the session is gone does say something:
choose ``missing=0`` or ``missing=()`` where that is how a loss looks.
"""

import re
from dataclasses import dataclass
from typing import Any

from harness.load.http.response import Response


@dataclass(frozen=True)
class Json:
    """A value inside a JSON body by its path: ``cart.items``, ``visits``, ``users.0.name``."""

    path: str
    missing: Any = None

    def __call__(self, reply: Response) -> Any:
        """The value."""
        try:
            value = reply.json()
            for step in self.path.split("."):
                value = value[int(step)] if isinstance(value, list) else value[step]
        except (ValueError, KeyError, IndexError, TypeError):
            return self.missing
        return value


@dataclass(frozen=True)
class Number:
    """The whole number that a pattern's first group (or the pattern) finds in the body."""

    pattern: str = r"(?<![\w.])\d+(?![\w.])"
    missing: int | None = None

    def __call__(self, reply: Response) -> int | None:
        """The number."""
        found = _found(self.pattern, reply)
        return int(found) if found and found.isdigit() else self.missing


@dataclass(frozen=True)
class Text:
    """What a pattern's first group (or the pattern) finds in the body, such as the name of who is logged in."""

    pattern: str
    missing: str | None = None

    def __call__(self, reply: Response) -> str | None:
        """The text."""
        found = _found(self.pattern, reply)
        return self.missing if found is None else found


@dataclass(frozen=True)
class Texts:
    """All that a pattern finds in the body, in its order: the items of a set, the entries of a log."""

    pattern: str

    def __call__(self, reply: Response) -> tuple[str, ...]:
        """The texts; none where none is found."""
        return tuple(re.findall(self.pattern, text_of(reply)))


@dataclass(frozen=True)
class Header:
    """A header's value, as a number where it is one."""

    name: str
    missing: str | int | None = None

    def __call__(self, reply: Response) -> str | int | None:
        """The value."""
        value = reply.headers.get(self.name.lower())
        if value is None:
            return self.missing
        return int(value) if value.isdigit() else value


def text_of(reply: Response) -> str:
    """The body as text."""
    return reply.body.decode(errors="replace")


def _found(pattern: str, reply: Response) -> str | None:
    found = re.search(pattern, text_of(reply))
    return None if found is None else found[1] if found.re.groups else found[0]
