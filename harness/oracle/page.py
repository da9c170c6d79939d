"""What a page shows of its session, learned from a few pages: a count of visits, or lines of its own."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?![\w.])")


def numbers(page: str) -> list[int]:
    """The whole numbers in a text that are not part of a word or a larger number."""
    return [int(digits) for digits in _NUMBER.findall(page)]


@dataclass(frozen=True)
class VisitCounter:
    """A number that each request of the session raises by one; ``index`` is its place among the page's numbers."""

    index: int

    def count(self, page: str) -> int:
        """The number; 0 if the page has none at that place."""
        values = numbers(page)
        return values[self.index] if self.index < len(values) else 0


@dataclass(frozen=True)
class OwnLines:
    """Lines that are on the session's pages but not on a stranger's page."""

    lines: frozenset[str]

    def holds(self, page: str) -> bool:
        """Whether a page has all of these lines."""
        return self.lines <= _lines(page)


def learn_session_mark(stranger: str, second: str, third: str) -> VisitCounter | OwnLines | None:
    """Find what marks a session on the pages of its first three requests, the first of which carried no cookie.

    None if nothing does: the page is the same for everyone, or differs each time.
    """
    for index, (a, b, c) in enumerate(zip(numbers(stranger), numbers(second), numbers(third), strict=False)):
        if a in (0, 1) and (b, c) == (a + 1, a + 2):
            return VisitCounter(index)
    common = {
        _NUMBER.sub("#", line) for line in _lines(stranger)
    }  # lines that differ only by numbers count as the same
    own = [line for line in _lines(second) & _lines(third) if _NUMBER.sub("#", line) not in common]
    return OwnLines(frozenset(own)) if own else None


def _lines(page: str) -> set[str]:
    """The pieces of text between line ends and tags."""
    return {line.strip() for line in re.split(r"[\n<>]", page)} - {""}
