"""``harness claims``."""

import functools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags

if TYPE_CHECKING:
    from harness.claims import ClaimResult

Only = Annotated[
    list[str],
    typer.Option(
        "--only", default_factory=list, show_default=False, metavar="ID", help="Only this claim (repeatable)."
    ),
]
Decide = Annotated[
    bool,
    typer.Option("--decide", help="Instead, compare every place for the state under failures, and write decide.md."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Repeat the runs that exist.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the runs of the claims are kept.")]
Docs = Annotated[Path, typer.Option(metavar="DIR", help="Where the page is written.")]


def claims(
    *,
    only: Only,
    decide: Decide = False,
    fresh: Fresh = False,
    out: Out = Path("results/claims"),
    docs: Docs = Path("docs"),
    as_json: flags.Json = False,
) -> int:
    """Test the claims of docs/claims.md, and rewrite that page.

    All of them take about 30 minutes.

    Example:

    \b
        harness claims --only C07
    """
    from harness import claims as claiming

    selected = claiming.select(only)
    log = functools.partial(print, file=sys.stderr, flush=True)
    attempt = functools.partial(claiming.attempt, results=out, log=log, fresh=fresh)
    if decide:
        print(claiming.write_decision_page(attempt(claiming.DECISION_RUNS), docs))
        return 0
    runs = attempt(claiming.list_required_runs(selected))
    results = {claim.id: claiming.ClaimResult.from_runs(claim, runs) for claim in selected}
    claiming.write_claims_page({**claiming.read_results(docs), **results}, docs)
    if as_json:
        print(json.dumps({claim: result.to_dict() for claim, result in results.items()}, indent=1))
    else:
        _print_results(results)
    return 0


def _print_results(results: "Mapping[str, ClaimResult]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.cli.console import open_console

    table = Table("claim", "verdict", "observed")
    for claim, result in results.items():
        table.add_row(claim, result.finding.verdict.value, escape(result.finding.says))
    open_console().print(table)
