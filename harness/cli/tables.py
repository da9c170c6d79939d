"""The tables that several commands print. Imported only by a command that prints one."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from harness.analysis.scaling.scaling_run import ScalingRun
from harness.cli.console import open_console
from harness.common.console import SafeConsole
from harness.common.terminal import show
from harness.report import request_table, scoreboard, table
from harness.report.charts.words import listed
from harness.report.doubts import doubts
from harness.results.summary import DesignSummary, Summary
from harness.results.verdicts import TIMING_CHECKS, Result, Verdict
from harness.runner.reporting import RunOutcome

#: The columns from which on the table has more than the least that people look for.
_ROOMY = 120
_STYLES = {"pass": "green", "fail": "red", "unknown": "yellow"}


def print_outcome(outcome: RunOutcome, as_json: bool) -> None:
    """Print summary.json; or what was found and checked, then the table, its notes, the verdict and the report's path.

    The end is short, so that a terminal of 24 lines shows all of it.
    """
    if as_json:
        show((outcome.run.path / "summary.json").read_text())
        return
    out, summary, verdicts = open_console(), outcome.analysis.summary, outcome.analysis.verdicts
    for line in table.headlines(summary):
        out.print(line, style="bold")
    if len(summary.designs) == 1:
        _print_requests(out, *next(iter(summary.designs.items())))
        out.print("checks", style="bold")
    for line in _list_checks(verdicts, with_reasons=len(summary.designs) == 1):
        out.print(line)
    out.print()
    out.print(_scoreboard(summary, out.width))
    for line in (*doubts(summary), *scoreboard.notes(summary), *table.notes(summary, outcome.run.plan.load)):
        out.print(line, style="dim")
    style = _STYLES.get(summary.verdict, "")
    out.print(Text.assemble((summary.verdict, f"bold {style}"), f": {_count_results(verdicts)}"))
    _print_report_path(out, outcome.run.path)


def _scoreboard(summary: Summary, width: int) -> Table:
    """As many columns as the terminal has room for; the report has more."""
    more = scoreboard.MORE_COLUMNS if width >= _ROOMY else ()
    drawn = _plain_table(scoreboard.COLUMNS[0])
    for title in (*scoreboard.COLUMNS[1:-1], *more):
        drawn.add_column(title, justify="right")
    drawn.add_column(scoreboard.COLUMNS[-1])
    for score in scoreboard.scores(summary):
        cells = (*score.cells, *score.more[: len(more)])
        drawn.add_row(*cells, Text(score.verdict, _STYLES.get(score.verdict, "")))
    return drawn


def _plain_table(*columns: str) -> Table:
    """A table with one line under its head and no other, to save room."""
    return Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))


def _print_requests(out: SafeConsole, name: str, design: DesignSummary) -> None:
    """The requests of each arm by name, for a run of a single design."""
    for arm in request_table.tables_of(name, design):
        drawn = _plain_table(request_table.COLUMNS[0])
        for title in request_table.COLUMNS[1:]:
            drawn.add_column(title, justify="left" if title == "errors" else "right")
        for row in arm.rows:
            drawn.add_row(*row.cells, style="bold" if row.name == request_table.TOTAL else None)
        out.print()
        out.print(arm.title, style="bold")
        out.print(drawn)


def _list_checks(verdicts: Sequence[Verdict], with_reasons: bool) -> Iterator[str]:
    """What passed, a line per design, or per check with its reason; then a line for everything that did not.

    Each check of the times has one line for all arms, because the note under the table says what is wrong with them.
    """
    passed = [verdict for verdict in verdicts if verdict.result is Result.PASS]
    if with_reasons:
        yield from map(_describe_check, passed)
    else:
        for design in dict.fromkeys(verdict.design for verdict in passed):
            checks = ", ".join(verdict.check for verdict in passed if verdict.design == design)
            yield f"pass: {f'{design}: ' if design else ''}{checks}"
    doubtful = [verdict for verdict in verdicts if verdict.result is not Result.PASS]
    yield from (_describe_check(verdict) for verdict in doubtful if verdict.check not in TIMING_CHECKS)
    for check in dict.fromkeys(verdict.check for verdict in doubtful if verdict.check in TIMING_CHECKS):
        designs = dict.fromkeys(verdict.design for verdict in doubtful if verdict.check == check)
        yield f"unknown: {check}: the times of {listed(list(designs), 12)}; the note under the table has the worst"


def _describe_check(verdict: Verdict) -> str:
    where = f"{verdict.design}: " if verdict.design else ""
    return f"{verdict.result.value}: {where}{verdict.check}: {verdict.why}"


def _count_results(verdicts: Sequence[Verdict]) -> str:
    """How many checks failed, are unknown, and passed."""
    counts = Counter(verdict.result for verdict in verdicts)
    words = {Result.FAIL: "failed", Result.UNKNOWN: "unknown", Result.PASS: "passed"}
    said = ", ".join(f"{counts[result]} {word}" for result, word in words.items() if counts[result])
    return f"of {len(verdicts)} checks {said}" if verdicts else "nothing was checked"


def print_scaling(path: Path, scaled: ScalingRun, as_json: bool) -> None:
    """Print the capacity of every design at every size, and the law that it follows."""
    if as_json:
        show(json.dumps(scaled.to_json(), indent=1))
        return
    out = open_console()
    out.print(_capacity_table(scaled))
    for design in scaled.designs:
        out.print(f"{design.name}: {design.fit.sentence}")
    _print_report_path(out, path)


def _capacity_table(scaled: ScalingRun) -> Table:
    capacities = _plain_table("design", "replicas", "held, requests/s", "of linear", "bound by", "trials")
    for design in scaled.designs:
        for size in design.sizes:
            efficiency = design.fit.efficiency(size.point)
            share = "-" if efficiency is None else f"{100 * efficiency:.0f} %"
            held, trials = f"{size.capacity.held:,.0f}", str(len(size.capacity.trials))
            capacities.add_row(design.name, str(size.replicas), held, share, size.capacity.bound_by, trials)
    return capacities


def _print_report_path(out: SafeConsole, run: Path) -> None:
    out.print(f"report: {run / 'report.html'}", soft_wrap=True)
