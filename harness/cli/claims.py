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
    typer.Option("--decide", help="Instead, put every place for the state through its failures, and write decide.md."),
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

    claims = claiming.chosen(only)
    attempt = functools.partial(
        claiming.attempt, results=out, say=functools.partial(print, file=sys.stderr, flush=True), fresh=fresh
    )
    if decide:
        print(claiming.decide(attempt(claiming.DECIDING), docs))
        return 0
    runs = attempt(claiming.needs(claims))
    findings = {claim.id: claiming.ClaimResult.of(claim, runs) for claim in claims}
    claiming.write({**claiming.read(docs), **findings}, docs)
    if as_json:
        print(json.dumps({claim: finding.plain() for claim, finding in findings.items()}, indent=1))
    else:
        _print_findings(findings)
    return 0


def _print_findings(findings: "Mapping[str, ClaimResult]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.cli.console import open_console

    table = Table("claim", "verdict", "what was seen")
    for claim, told in findings.items():
        table.add_row(claim, told.finding.support.value, escape(told.finding.says))
    open_console().print(table)
