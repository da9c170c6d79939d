"""What a page shows of the session it was asked in, found by looking: a count of its visits, or lines of its own."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?![\w.])")


def numbers(page: str) -> list[int]:
    """The whole numbers that stand by themselves in a text."""
    return [int(found) for found in _NUMBER.findall(page)]


@dataclass(frozen=True)
class VisitCounter:
    """A number that each request of the session raises by one, by its place among the page's numbers."""

    index: int

    def count(self, page: str) -> int:
        """The number; 0 where the page has none there."""
        found = numbers(page)
        return found[self.index] if self.index < len(found) else 0


@dataclass(frozen=True)
class OwnLines:
    """Lines that the session's pages have and a stranger's has not."""

    lines: frozenset[str]

    def holds(self, page: str) -> bool:
        """Whether a page has all of them."""
        return self.lines <= _lines(page)


def learn_session_mark(stranger: str, second: str, third: str) -> VisitCounter | OwnLines | None:
    """What tells a session from the pages of its first three requests, the first of which brought no cookie.

    None where nothing does: the page is the same for all, or another one each time.
    """
    for nth, (a, b, c) in enumerate(zip(numbers(stranger), numbers(second), numbers(third), strict=False)):
        if a in (0, 1) and (b, c) == (a + 1, a + 2):
            return VisitCounter(nth)
    common = {_NUMBER.sub("#", line) for line in _lines(stranger)}  # other numbers alone are no other line
    own = [line for line in _lines(second) & _lines(third) if _NUMBER.sub("#", line) not in common]
    return OwnLines(frozenset(own)) if own else None


def _lines(page: str) -> set[str]:
    """What stands between line ends and tags."""
    return {line.strip() for line in re.split(r"[\n<>]", page)} - {""}
