"""The tables that several commands print. Imported only by a command that prints one."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.analysis.scaling.scaling_run import ScalingRun
from harness.cli.console import WIDE, open_console
from harness.report import table
from harness.report.table import TableRow
from harness.runner.pipeline import RunOutcome

_COLUMNS: tuple[tuple[str, Callable[[TableRow], str]], ...] = (
    ("design", lambda row: row.design),
    ("what the fault did to its sessions", lambda row: row.finding),
    ("acknowledged writes lost", lambda row: row.writes_lost),
    ("detect, recover", lambda row: f"{row.detect} s, {row.recover} s"),
    ("errors while it lasted", lambda row: row.errors),
    ("forced logins", lambda row: row.forced_logins),
    ("correct/s before, during, after", lambda row: row.throughput),
    ("p99 ms without, with", lambda row: row.p99),
    ("verdict", lambda row: row.expected),
)


def print_outcome(outcome: RunOutcome, as_json: bool) -> None:
    """Print summary.json, or the verdict, a row per design, and the reasons for what did not pass."""
    if as_json:
        print((outcome.run.path / "summary.json").read_text())
        return
    out, summary = open_console(), outcome.analysis.summary
    out.print(f"[bold]{summary.verdict}[/bold]: {escape(table.sentence(summary))}", highlight=False)
    for doubt in table.doubts(summary):
        out.print(escape(doubt), style="bold", highlight=False)
    out.print(_decision_table(table.rows(summary), out.width))
    for note in table.notes(summary, str(outcome.run.plan.load["kind"])):
        out.print(escape(note), style="dim", highlight=False)
    for verdict in outcome.analysis.verdicts:
        if verdict.result.value != "pass":
            where = f"{verdict.design}: " if verdict.design else ""
            out.print(escape(f"{verdict.result.value}: {where}{verdict.check}: {verdict.why}"), highlight=False)
    _print_report_path(out, outcome.run.path)


def _decision_table(rows: Sequence[TableRow], width: int) -> Table:
    """As many columns as the terminal has room for; the report has them all."""
    columns = _COLUMNS if width >= WIDE else _COLUMNS[:4] + _COLUMNS[-1:]
    decisions = Table(*(title for title, _ in columns), show_lines=True)
    for row in rows:
        decisions.add_row(*(escape(cell(row)) for _, cell in columns))
    return decisions


def print_scaling(path: Path, scaled: ScalingRun, as_json: bool) -> None:
    """Print the capacity of every design at every size, and the law that it follows."""
    if as_json:
        print(json.dumps(scaled.to_json(), indent=1))
        return
    out = open_console()
    out.print(_capacity_table(scaled))
    for design in scaled.designs:
        out.print(escape(f"{design.name}: {design.fit.sentence}"), highlight=False)
    _print_report_path(out, path)


def _capacity_table(scaled: ScalingRun) -> Table:
    capacities = Table("design", "replicas", "held, requests/s", "of linear", "bound by", "trials")
    for design in scaled.designs:
        for size in design.sizes:
            efficiency = design.fit.efficiency(size.point)
            share = "-" if efficiency is None else f"{100 * efficiency:.0f} %"
            held, trials = f"{size.capacity.held:,.0f}", str(len(size.capacity.trials))
            capacities.add_row(design.name, str(size.replicas), held, share, size.capacity.bound_by, trials)
    return capacities


def _print_report_path(out: Console, run: Path) -> None:
    out.print(f"report: {escape(str(run / 'report.html'))}", soft_wrap=True, highlight=False)
