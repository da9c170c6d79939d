"""``harness list``."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import flags
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from harness.cli.catalogue import Entry

Kind = Annotated[
    Literal["designs", "apps", "states", "balancers", "stores", "faults", "scenarios", "claims"] | None,
    typer.Argument(metavar="KIND", help="Only designs, apps, states, balancers, stores, faults, scenarios or claims."),
]


def list_parts(kind: Kind = None, *, no_color: flags.NoColor = False, as_json: flags.Json = False) -> int:
    """List the parts to choose from: all of one KIND, or of every kind but the designs, which take seconds to load.

    Example:

    \b
        harness list states
    """
    from harness.cli import catalogue

    parts = catalogue.catalogue(kind)
    if as_json:
        show(json.dumps({name: [asdict(entry) for entry in entries] for name, entries in parts.items()}, indent=1))
    else:
        _print_parts(parts)
        if kind is None:
            note("harness list designs: the designs of every scenario")
    return 0


def _print_parts(parts: "Mapping[str, tuple[Entry, ...]]") -> None:
    from rich.table import Table

    from harness.cli.console import open_console

    for kind, entries in parts.items():
        table = Table("name", "what", "", title=kind, title_justify="left")
        for entry in entries:
            table.add_row(entry.name, entry.what, entry.detail)
        open_console().print(table)
