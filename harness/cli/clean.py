"""``harness clean``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from harness.cli import flags

Runs = Annotated[bool, typer.Option("--runs", help="Also remove all runs but the newest of each scenario.")]


def clean(*, runs: Runs = False, out: flags.Out = flags.RESULTS, as_json: flags.Json = False) -> int:
    """Remove what a crash left behind; with --runs, old runs too.

    Example:

    \b
        harness clean --runs
    """
    from harness.cluster import leftovers

    removed = leftovers.clean(out if runs else None)
    if as_json:
        print(json.dumps([asdict(entry) for entry in removed], default=str))
    else:
        print("\n".join(f"removed {entry.kind} {entry.what}" for entry in removed) or "nothing was left behind")
    return 0
