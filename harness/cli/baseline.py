"""``harness baseline accept``."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags
from harness.common.terminal import show

Reason = Annotated[str, typer.Option(metavar="WHY", help="Why the baseline changes; kept beside it.")]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Its name, if not that of the scenario.")]
Force = Annotated[bool, typer.Option("--force", help="Accept a run that did not pass.")]
Baselines = Annotated[Path, typer.Option(metavar="DIR", help="Where baselines are kept.")]


def accept(
    run: flags.RunDirectory,
    *,
    reason: Reason,
    name: Name = None,
    force: Force = False,
    baselines: Baselines = Path("results/baselines"),
    as_json: flags.Json = False,
) -> int:
    """Make a run its scenario's baseline.

    Example:

    \b
        harness baseline accept results/node_kill/latest --reason "faster checkout, seen three times"
    """
    from harness.results.baselines import accept as accept_run
    from harness.results.run import Run

    path = accept_run(Run.open(run), reason, baselines, force, name)
    if as_json:
        show((path / "baseline.json").read_text())
    else:
        show(f"accepted: {path}; commit it")
    return 0
