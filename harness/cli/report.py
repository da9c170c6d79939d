"""``harness report``."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags
from harness.common.terminal import show

OtherRun = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", help="Another run, to show beside it on one page.", callback=flags.find_run),
]
Gallery = Annotated[Path | None, typer.Option(metavar="DIR", help="Copy the charts there too.")]


def report(
    run: flags.RunDirectory,
    other: OtherRun = None,
    *,
    gallery: Gallery = None,
    no_color: flags.NoColor = False,
    as_json: flags.Json = False,
) -> int:
    """Draw the charts and report.html from what a run recorded.

    Example:

    \b
        harness report results/node_kill/latest
    """
    from harness.analysis.scaling import scaling_run
    from harness.cli import tables
    from harness.results.run import Run
    from harness.runner import reporting
    from harness.runner.progress import progress

    opened = Run.open(run)
    if (opened.path / scaling_run.FILE).exists():
        scaling = reporting.draw_scaling(opened)
        tables.print_scaling(opened.path, scaling, as_json)
        return scaling.exit_code(())
    with progress() as view:
        outcome = reporting.reanalyse(run, gallery, view)
        beside = None if other is None else reporting.side_by_side(outcome, reporting.reanalyse(other, None, view))
    if beside is not None:
        show(f"side by side: {beside}")
    tables.print_outcome(outcome, as_json)
    return outcome.analysis.result.exit_code
