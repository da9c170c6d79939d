"""``harness compare``."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.errors import UsageError
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from harness.analysis.compare import Comparison

RepeatedRun = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run: its directory, its id, or latest; times need --repeat 6 or more.",
        show_default=False,
        callback=flags.find_run,
    ),
]
Baseline = Annotated[
    Path,
    typer.Argument(
        metavar="BASELINE", help="A baseline's directory, or another run.", show_default=False, callback=flags.find_run
    ),
]
Also = Annotated[
    list[Path],
    typer.Option(
        "--also", default_factory=list, show_default=False, metavar="RUN",
        help="A run of the same build in another session of the machine (repeatable).",
    ),
]  # fmt: skip
AlsoBaseline = Annotated[
    list[Path],
    typer.Option(
        "--also-baseline", default_factory=list, show_default=False, metavar="RUN",
        help="The same for the baseline (repeatable).",
    ),
]  # fmt: skip
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
    also: Also,
    also_baseline: AlsoBaseline,
    margin: Margin = "10%",
    allow_environment: AllowEnvironment = False,
    markdown: Markdown = None,
    junit: JUnit = None,
    no_color: flags.NoColor = False,
    as_json: flags.Json = False,
) -> int:
    """Compare a run with a baseline.

    Counts are compared as counts, times as ratios.

    Example:

    \b
        harness compare results/node_kill/latest results/baselines/node_kill --markdown compare.md
    """
    from harness.analysis import compare as comparing
    from harness.analysis.compare import render
    from harness.report.charts import forest
    from harness.results.files import explain_write_errors

    share = _parse_share(margin)
    comparison = comparing.read_and_compare(
        run, baseline, share, allow_environment, also=also, also_baseline=also_baseline
    )
    with explain_write_errors(run / "charts"):
        chart = forest.draw(comparison, run / "charts")
    for path, write in ((markdown, render.write_markdown), (junit, render.write_junit)):
        if path is not None:
            with explain_write_errors(path):
                write(comparison, path)
    _print_comparison(comparison, chart.svg if chart else None, as_json)
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


def _print_comparison(comparison: "Comparison", chart: Path | None, as_json: bool) -> None:
    from harness.analysis.compare import render

    if as_json:
        show(json.dumps(asdict(comparison), indent=1))
    else:
        _print_tables(comparison)
        if chart:
            show(f"chart: {chart}")
    if os.environ.get("GITHUB_ACTIONS"):
        note("\n".join(render.render_annotations(comparison)))


def _print_tables(comparison: "Comparison") -> None:
    from rich.table import Table

    from harness.analysis.compare import render
    from harness.common.console import SafeConsole

    out = SafeConsole()
    out.print(render.render_sentence(comparison), style="bold")
    for why in comparison.why:
        out.print(f"- {why}")
    if comparison.metrics:
        table = Table(*render.COLUMNS)
        for metric in comparison.metrics:
            table.add_row(*render.render_row(metric))
        out.print(table)
    for line in render.render_notes(comparison):
        out.print(line, style="dim")
