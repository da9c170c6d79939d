"""Which requests were not answered well, in words: the name, and what came back."""

from collections.abc import Iterator, Mapping, Sequence

from harness.results.summary import EndpointStats, RequestCounts

_MAX_PHRASES = 3


def describe_errors(names: Mapping[str, EndpointStats], counts: RequestCounts | None = None) -> Sequence[str]:
    """``424 of 424 GET / answered 404``: the names and statuses with the most errors first.

    With the ``counts`` of all requests also the arrivals of an open load that were dropped.
    """
    phrases = [
        (count, f"{count:,} of {stats.requests:,} {name} {_describe_status(status)}")
        for name, stats in names.items()
        for status, count in stats.failures.items()
    ]
    if counts is not None and counts.dropped:
        never_sent = f"{counts.dropped:,} of {counts.attempted:,} requests were never sent because no session was free"
        phrases.append((counts.dropped, never_sent))
    ordered = [phrase for _, phrase in sorted(phrases, key=lambda pair: -pair[0])]
    more = len(ordered) - _MAX_PHRASES
    return [*ordered[:_MAX_PHRASES], *([f"and {more} more kinds"] if more > 0 else [])]


def describe_wrong(names: Mapping[str, EndpointStats]) -> Iterator[str]:
    """``212 of 424 GET / answered with wrong content``: the replies that did not pass their ``check``."""
    for name, stats in names.items():
        if stats.wrong:
            yield f"{stats.wrong:,} of {stats.requests:,} {name} answered with wrong content"


def _describe_status(status: str) -> str:
    if status == "0":
        return "got no reply"
    return f"answered {status} and marked as failed" if status.startswith("2") else f"answered {status}"
