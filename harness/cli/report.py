"""``harness report``."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags

OtherRun = Annotated[Path | None, typer.Argument(metavar="RUN", help="Another run, to show beside it on one page.")]
Gallery = Annotated[Path | None, typer.Option(metavar="DIR", help="Copy the charts there too.")]


def report(
    run: flags.RunDirectory, other: OtherRun = None, *, gallery: Gallery = None, as_json: flags.Json = False
) -> int:
    """Draw the charts and report.html from what a run recorded.

    Example:

    \b
        harness report results/node_kill/latest
    """
    from harness.analysis.scaling import scaling_run
    from harness.cli import tables
    from harness.results.run import Run
    from harness.runner import pipeline

    opened = Run.open(run)
    if (opened.path / scaling_run.FILE).exists():
        scaling = pipeline.draw_scaling(opened)
        tables.print_scaling(opened.path, scaling, as_json)
        return scaling.exit_code(())
    outcome = pipeline.reanalyse(run, gallery)
    if other is not None:
        print(f"side by side: {pipeline.side_by_side(outcome, pipeline.reanalyse(other, None))}")
    tables.print_outcome(outcome, as_json)
    return outcome.analysis.result.exit_code
