"""How a reply shows a session's state: values to set as a user's ``observe``, or to pass as a request's ``reads=``.

Each is called with an ok reply and returns the state for the user's ``model``, or ``missing`` if it is not shown (None:
nothing is known of the state). A page that is empty because the session is gone does show something: choose
``missing=0`` or ``missing=()`` if that is how a loss looks.
"""

import re
from dataclasses import dataclass
from typing import Any

from harness.load.http.response import Response

_MAX_DIGITS = 100  # a longer number is none
#: A whole number that is no part of a word or of another number.
WHOLE_NUMBER = r"(?<![\w.])\d+(?![\w.])"


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
    """The whole number that a pattern's first group (or the pattern) matches in the body."""

    pattern: str = WHOLE_NUMBER
    missing: int | None = None

    def __call__(self, reply: Response) -> int | None:
        """The number."""
        number = first_number(text_of(reply), self.pattern)
        return self.missing if number is None else number


@dataclass(frozen=True)
class Text:
    """What a pattern's first group (or the pattern) finds in the body, such as the name of who is logged in."""

    pattern: str
    missing: str | None = None

    def __call__(self, reply: Response) -> str | None:
        """The text."""
        text = _first_match(self.pattern, text_of(reply))
        return self.missing if text is None else text


@dataclass(frozen=True)
class Texts:
    """All that a pattern finds in the body, in its order: the items of a set, the entries of a log."""

    pattern: str

    def __call__(self, reply: Response) -> tuple[str, ...]:
        """The texts; empty if the pattern matches nothing."""
        return tuple(re.findall(self.pattern, text_of(reply)))


def nothing(_: Response) -> None:
    """For replies that do not show the session's state: as ``reads=`` of their requests."""


def text_of(reply: Response) -> str:
    """The body as text."""
    return reply.body.decode(errors="replace")


def first_number(text: str, pattern: str = WHOLE_NUMBER) -> int | None:
    """The first whole number in a text that a pattern's first group (or the pattern) matches; None if there is none."""
    digits = _first_match(pattern, text)
    return int(digits) if digits and digits.isdecimal() and len(digits) < _MAX_DIGITS else None


def _first_match(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    if match is None:
        return None
    return match[1] if match.re.groups else match[0]
