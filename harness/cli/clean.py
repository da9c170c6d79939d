"""``harness clean``."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cluster.leftovers import RemovedItem

Runs = Annotated[
    bool, typer.Option("--runs", help="Also list all runs but the newest of each scenario, and ask to remove them.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Remove those runs without a question.")]


def clean(
    *,
    runs: Runs = False,
    yes: Yes = False,
    out: flags.Out = flags.RESULTS,
    kube_context: flags.Context = None,
    as_json: flags.Json = False,
) -> int:
    """Remove what a crash left behind; with --runs, old runs too.

    Example:

    \b
        harness clean --runs
    """
    from harness.cluster import leftovers

    found = leftovers.clean(kube_context)
    removed = [*found.removed, *(_remove_old_runs(out, yes) if runs else ())]
    if as_json:
        show(json.dumps([asdict(entry) for entry in removed], default=str))
    else:
        show("\n".join(f"removed {entry.kind} {entry.what}" for entry in removed) or "nothing was removed")
    if found.doubt:
        note(f"namespaces of runs may be left: {found.doubt}")
    if found.problem:
        raise found.problem
    return 0


def _remove_old_runs(out: Path, yes: bool) -> "Sequence[RemovedItem]":
    """List the old runs on standard error, and remove them if the user agrees."""
    from harness.cluster.leftovers import RemovedItem
    from harness.results import old_runs

    found = old_runs.old_runs(out)
    for run in found:
        note(f"old run {run.path}")
    if not found or not (yes or _agrees(len(found))):
        return ()
    old_runs.remove_runs(found)
    return [RemovedItem("run", str(run.path)) for run in found]


def _agrees(count: int) -> bool:
    if not sys.stdin.isatty():
        note("they stay: --yes removes them")
        return False
    note(f"remove these {count} runs? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
