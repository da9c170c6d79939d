"""``harness compare``."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.analysis.compare import Comparison

RepeatedRun = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A run's directory; times need --repeat 6 or more.", show_default=False),
]
Baseline = Annotated[
    Path, typer.Argument(metavar="BASELINE", help="A baseline's directory, or another run's.", show_default=False)
]
Margin = Annotated[str, typer.Option(metavar="PERCENT", help="How far a ratio may move.")]
AllowEnvironment = Annotated[
    bool, typer.Option("--allow-environment", help="Accept another CPU, number of cores or Python version.")
]
Markdown = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a comment for a pull request.")]
JUnit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")]


def compare(
    run: RepeatedRun,
    baseline: Baseline,
    *,
    margin: Margin = "10%",
    allow_environment: AllowEnvironment = False,
    markdown: Markdown = None,
    junit: JUnit = None,
    as_json: flags.Json = False,
) -> int:
    """Compare a run with a baseline.

    Invariants are compared exactly, times as ratios.

    Example:

    \b
        harness compare results/node_kill/latest results/baselines/node_kill --markdown compare.md
    """
    from harness.analysis import compare as comparing
    from harness.analysis.compare import render
    from harness.report.charts import forest
    from harness.results.files import explain_write_errors

    comparison = comparing.read_and_compare(run, baseline, _parse_share(margin), allow_environment)
    with explain_write_errors(run / "charts"):
        chart = forest.draw(comparison, run / "charts")
    for path, write in ((markdown, render.write_markdown), (junit, render.write_junit)):
        if path is not None:
            with explain_write_errors(path):
                write(comparison, path)
    if as_json:
        print(json.dumps(asdict(comparison), indent=1))
    else:
        _print_comparison(comparison)
        if chart:
            print(f"chart: {chart.svg}")
    if os.environ.get("GITHUB_ACTIONS"):
        print("\n".join(render.render_annotations(comparison)), file=sys.stderr)
    return comparison.outcome.exit_code


def _parse_share(text: str) -> float:
    """``10%`` or ``10`` as a share between 0 and 1, both excluded."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"--margin {text!r} is not between 0 and 100 per cent", "for example --margin 10%")
    return share


def _print_comparison(comparison: "Comparison") -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.analysis.compare import render
    from harness.cli.console import PipeConsole

    out = PipeConsole()
    out.print(escape(render.render_sentence(comparison)), style="bold", highlight=False)
    for why in comparison.why:
        out.print(f"- {escape(why)}", highlight=False)
    if comparison.metrics:
        table = Table(*render.COLUMNS)
        for metric in comparison.metrics:
            table.add_row(*map(escape, render.render_row(metric)))
        out.print(table)
    for note in render.render_notes(comparison):
        out.print(escape(note), style="dim", highlight=False)
