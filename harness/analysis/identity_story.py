"""The story of what identified a session: which reply set it, how long it was sent, and how it ended."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from harness.observations.identity import MAX_CHANGES, SHOWN, Change, IdentityChange

#: Changes of one id that a sentence names; in between they are counted.
_FIRST, _LAST = 3, 4

_WORDS = {
    Change.WITHHELD: "not sent",
    Change.MISSED: "missed",
    Change.GONE: "unknown to the service",
}


def describe_change(change: IdentityChange) -> str:
    """What happened to the id, without its name: ``expired: Max-Age=3``."""
    word = _WORDS.get(change.change, str(change.change))
    given = {Change.SET: "to", Change.REPLACED: "by"}.get(change.change)
    shown = f"{change.value}..." if len(change.value) >= SHOWN else change.value
    value = f" {given} {shown}" if given and shown else ""
    return f"{word}{value}{f': {change.why}' if change.why else ''}"


def describe_identity(changes: Sequence[IdentityChange], sent: Sequence[int]) -> Iterator[str]:
    """One sentence for each id. ``sent`` is when the session's requests were sent (ns from T0), in any order."""
    for name in dict.fromkeys(change.name for change in changes):
        parts = list(_describe_one([change for change in changes if change.name == name], sent))
        if (left_out := len(parts) - _FIRST - _LAST) > 1:
            parts[_FIRST:-_LAST] = [f"{left_out} more changes"]
        yield f"{name}: {', '.join(parts)}"
    if len(changes) >= MAX_CHANGES:
        yield "only the first and the latest changes of its ids were kept"


def _describe_one(changes: Sequence[IdentityChange], sent: Iterable[int]) -> Iterator[str]:
    times = sorted(sent)
    withheld = any(change.change is Change.WITHHELD for change in changes)  # so not every request had it
    for change, later in pairwise((*changes, None)):
        if change is None:
            return
        word, _, why = describe_change(change).partition(": ")
        text = f"{word} at {change.t_ns / 1e9:.3f} s{f' ({why})' if why else ''}"
        if change.change in (Change.SET, Change.REPLACED):
            end = later.t_ns if later is not None else float("inf")
            count = sum(change.t_ns <= t < end for t in times)
            requests = f"{count} request{'s' * (count != 1)}"
            text += f", kept during {requests}" if withheld else f", sent with {requests}"
        yield text
