"""The positional arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A file in scenarios/.", show_default=False)]
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="A run's directory.", show_default=False)]

Json = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
Designs = Annotated[
    list[str],
    typer.Option(
        "--design", default_factory=list, show_default=False, metavar="NAME", help="Only this design (repeatable)."
    ),
]
Replicas = Annotated[int | None, typer.Option(metavar="N", help="Replicas of each design.")]
Balancer = Annotated[str | None, typer.Option(metavar="NAME", help="haproxy, nginx, envoy, traefik or caddy.")]
Backend = Annotated[Literal["process", "docker"], typer.Option(help="Where the parts run.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of arrivals and operation ids.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where runs are kept.")]

RESULTS = Path("results")


def read_values(context: typer.Context) -> dict[str, Any]:
    """The values of a command's flags, as recorded in run.json."""
    return {name: value for name, value in context.params.items() if name != "as_json"}
