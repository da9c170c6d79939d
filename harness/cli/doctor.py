"""``harness doctor``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.terminal import show

if TYPE_CHECKING:
    from harness.cluster.inventory import InventoryItem


KubernetesRoles = Annotated[
    bool, typer.Option("--kubernetes", help="Print the least roles with which a run can attach to a workload.")
]
Namespace = Annotated[str, typer.Option(metavar="NAME", help="The namespace of that workload.")]


def doctor(
    *,
    kubernetes: KubernetesRoles = False,
    namespace: Namespace = "default",
    kube_context: flags.Context = None,
    no_color: flags.NoColor = False,
    as_json: flags.Json = False,
) -> int:
    """Show what this machine has, and how to install what it lacks.

    Example:

    \b
        harness doctor
    """
    from harness.cluster import inventory
    from harness.cluster.kubernetes import rights

    if kubernetes:  # as JSON, which kubectl reads as well as YAML
        show(json.dumps({"apiVersion": "v1", "kind": "List", "items": rights.roles(namespace)}, indent=1))
        return 0
    findings = inventory.examine(context=kube_context)
    if as_json:
        show(json.dumps([asdict(finding) for finding in findings], indent=1))
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
