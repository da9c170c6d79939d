"""The table at the end of a run: one short line per design, which fits a terminal of 80 columns."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.common.intervals import upper_bound_of_none
from harness.report import table
from harness.report.charts.words import UNMEASURED, listed, number
from harness.results.summary import ArmFigures, DesignSummary, Summary

COLUMNS = ("design", "lost/judged", "writes lost", "errors", "req/s", "p50 ms", "p99 ms", "verdict")
#: For a wide terminal, before the verdict.
MORE_COLUMNS = ("p99 ctrl", "detect s", "recover s", "relogin")

#: What a sign beside a figure means.
_SIGNS = {
    "<": "With <, none was seen, and a higher share is unlikely (95 %).",
    ">=": "With >=, arrivals were dropped, so the time is at least that.",
    "?": "With ?, the figure cannot be trusted.",
}


@dataclass(frozen=True)
class Score:
    """One design: the cells under ``COLUMNS`` and ``MORE_COLUMNS``, without the verdict."""

    cells: tuple[str, ...]
    more: tuple[str, ...]
    verdict: str  # pass | fail | unknown


def scores(summary: Summary) -> tuple[Score, ...]:
    """One line per design, in the summary's order."""
    return tuple(
        Score(_cells(name, table.judged_arm(design)), _more_cells(design, row), design.verdict)
        for (name, design), row in zip(summary.designs.items(), table.rows(summary), strict=True)
    )


def lines(summary: Summary) -> tuple[str, ...]:
    """The table under ``COLUMNS`` as plain text, for a log."""
    table_rows = [COLUMNS, *((*score.cells, score.verdict) for score in scores(summary))]
    widths = [max(map(len, column)) for column in zip(*table_rows, strict=True)]
    return tuple("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table_rows)


def _cells(name: str, arm: ArmFigures | None) -> tuple[str, ...]:
    if arm is None:
        return (name, *[UNMEASURED] * (len(COLUMNS) - 2))
    sessions, writes, counts = arm.sessions, arm.writes, arm.requests
    lost = f"{sessions.lost:,}/{sessions.known:,} {_share(sessions.lost, sessions.known)}".rstrip()
    doubt = "" if arm.times_trusted else "?"
    least = ">=" if arm.latency_is_lower_bound else ""
    return (
        name,
        lost,
        f"{writes.lost:,} {_share(writes.lost, writes.acknowledged)}".rstrip(),
        _share(counts.failed + counts.in_doubt, counts.attempted) or UNMEASURED,
        f"{number(arm.throughput.correct)}{doubt}",
        least + table.format_latency(arm, "p50"),
        least + table.format_latency(arm, "p99"),
    )


def _more_cells(design: DesignSummary, row: table.TableRow) -> tuple[str, ...]:
    control = design.arms.get("control")
    arm = table.judged_arm(design)
    without = table.format_latency(control, "p99") if control else UNMEASURED
    return without, row.detect, row.recover, f"{arm.sessions.forced_login:,}" if arm else UNMEASURED


def _share(part: int, whole: int) -> str:
    """``41.9%``; of none the upper bound ``<1.9%``, at 95 %; nothing of nothing."""
    if whole <= 0:
        return ""
    if part == 0:
        return f"<{number(float(f'{100 * upper_bound_of_none(whole):.2g}'))}%"
    share = 100 * part / whole
    return f"{number(float(f'{share:.2g}') if share < 10 else share)}%"


def notes(summary: Summary) -> Iterator[str]:
    """What a reader of this table must know, besides the notes of every run."""
    shown = "".join(cell for score in scores(summary) for cell in (*score.cells[1:], *score.more))
    signs = [meaning for sign, meaning in _SIGNS.items() if sign in shown]
    yield " ".join(["Errors, rates and times are those of the whole arm with the fault.", *signs])
    harmed = [
        f"{name} {harms}"
        for name, design in summary.designs.items()
        if (arm := table.judged_arm(design)) and (harms := table.describe_harms(arm.sessions))
    ]
    if harmed:
        yield f"Besides losses: {listed(harmed, 12)}."
