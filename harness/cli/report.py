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
    from harness import conduct, runs, scaled
    from harness.cli import tables

    opened = runs.Run.open(run)
    if (opened.path / scaled.FILE).exists():
        scaling = conduct.drawn_scaling(opened)
        tables.print_scaling(opened.path, scaling, as_json)
        return scaling.exit_code(())
    outcome = conduct.again(run, gallery)
    if other is not None:
        print(f"side by side: {conduct.side_by_side(outcome, conduct.again(other, None))}")
    tables.print_outcome(outcome, as_json)
    return outcome.analysis.result.exit_code
