"""``harness claims``."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from harness.claims.report import ClaimResult

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
    from harness.claims import CLAIMS, attempt, decision_page, report, select

    selected = select(only)
    make_runs = functools.partial(attempt.attempt, results=out, log=note, fresh=fresh)
    if decide:
        show(str(decision_page.write(make_runs(decision_page.RUNS), docs)))
        return 0
    runs = make_runs(attempt.list_required_runs(selected))
    results = {claim.id: report.ClaimResult.from_runs(claim, runs) for claim in selected}
    report.write(CLAIMS, {**report.read_results(docs), **results}, docs)
    if as_json:
        show(json.dumps({claim: result.to_dict() for claim, result in results.items()}, indent=1))
    else:
        _print_results(results)
    return 0


def _print_results(results: "Mapping[str, ClaimResult]") -> None:
    from rich.table import Table

    from harness.cli.console import open_console

    table = Table("claim", "verdict", "observed")
    for claim, result in results.items():
        table.add_row(claim, result.finding.verdict.value, result.finding.says)
    open_console().print(table)
