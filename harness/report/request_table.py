"""The requests of an arm by name: how many, how they were answered, how long they took; and their totals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.report.charts.words import UNMEASURED, number
from harness.results.summary import ArmFigures, DesignSummary, Summary

TOTAL = "all requests"
_ARMS = {"fault": "with the fault", "control": "without the fault"}
_MAX_STATUSES = 4


@dataclass(frozen=True)
class RequestRow:
    """The requests of one name, or all. ``rate`` is per second, times are in ms from the intended start."""

    name: str
    count: int
    rate: float | None
    errors: int  # failed or in doubt
    statuses: Mapping[str, int]  # of the errors; 0: no reply
    wrong: int  # with content that a check refused
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None

    @property
    def described_errors(self) -> str:
        """``0``, or ``12: 503 (10), no reply (2)``; content that a check refused follows."""
        kinds = [
            f"{'no reply' if status == '0' else status} ({count:,})"
            for status, count in list(self.statuses.items())[:_MAX_STATUSES]
        ]
        more = len(self.statuses) - _MAX_STATUSES
        kinds += [f"{more:,} more"] if more > 0 else []
        errors = f"{self.errors:,}: {', '.join(kinds)}" if kinds else f"{self.errors:,}"
        return f"{errors}; wrong content ({self.wrong:,})" if self.wrong else errors

    @property
    def cells(self) -> tuple[str, ...]:
        """The row under ``COLUMNS``."""
        times = map(number, (self.p50, self.p90, self.p99, self.max))
        rate = UNMEASURED if self.rate is None else number(self.rate)
        return (self.name, f"{self.count:,}", rate, self.described_errors, *times)


COLUMNS = ("request", "count", "per s", "errors", "p50 ms", "p90 ms", "p99 ms", "max ms")


@dataclass(frozen=True)
class RequestTable:
    """The requests of one arm: a row per name, the most frequent first, and the total last."""

    design: str
    arm: str
    rows: tuple[RequestRow, ...]

    @property
    def title(self) -> str:
        """``sticky, with the fault``."""
        return f"{self.design}, {_ARMS.get(self.arm, self.arm)}"


def request_tables(summary: Summary) -> tuple[RequestTable, ...]:
    """A table per arm, in the summary's order."""
    return tuple(table for name, design in summary.designs.items() for table in tables_of(name, design))


def tables_of(name: str, design: DesignSummary) -> Iterator[RequestTable]:
    """The tables of one design, its arm with the fault first."""
    for arm, figures in design.arms.items():
        yield RequestTable(name, arm, (*_rows(figures), _total(figures)))


def _rows(arm: ArmFigures) -> Iterator[RequestRow]:
    for name, stats in arm.names.items():
        yield RequestRow(
            name, stats.requests, _rate(arm, stats.requests), stats.requests - stats.ok, stats.failures, stats.wrong,
            stats.p50_ms, stats.p90_ms, stats.p99_ms, stats.max_ms,
        )  # fmt: skip


def _total(arm: ArmFigures) -> RequestRow:
    """All requests: those of names that are too rare to have a row, and dropped arrivals, included."""
    statuses: dict[str, int] = {}
    for stats in arm.names.values():
        for status, count in stats.failures.items():
            statuses[status] = statuses.get(status, 0) + count
    counts, times = arm.requests, arm.latency_ms
    return RequestRow(
        TOTAL, counts.attempted, _rate(arm, counts.attempted), counts.failed + counts.in_doubt,
        dict(sorted(statuses.items(), key=lambda pair: -pair[1])), sum(stats.wrong for stats in arm.names.values()),
        times.p50, times.p90, times.p99, times.max,
    )  # fmt: skip


def _rate(arm: ArmFigures, count: int) -> float | None:
    """Requests per second of the measured time, which the rate of those that were ok implies."""
    if not arm.throughput.mean or not arm.requests.ok:
        return None
    return count * arm.throughput.mean / arm.requests.ok
