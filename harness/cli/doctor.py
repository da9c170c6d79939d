"""``harness doctor``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.cli import flags

if TYPE_CHECKING:
    from harness.cluster.inventory import InventoryItem


def doctor(*, as_json: flags.Json = False) -> int:
    """Show what this machine has, and how to install what it lacks.

    Example:

    \b
        harness doctor
    """
    from harness.cluster import inventory

    findings = inventory.examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _print_findings(findings)
    return 0


def _print_findings(findings: "Sequence[InventoryItem]") -> None:
    from rich.table import Table

    from harness.cli.console import open_console

    table = Table("", "part", "found", "needed for", "install")
    for part in findings:
        mark, install = ("ok", "") if part.present else ("--", part.install)
        table.add_row(mark, part.part, part.version, part.needed_for, install)
    open_console().print(table)
