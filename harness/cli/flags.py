"""The positional arguments and options that several commands share."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness.common.errors import UsageError

RESULTS = Path("results")


def find_run(named: Path | None) -> Path | None:
    """The directory of a run that is named by its path, by its id alone, or as ``latest``, the newest of all.

    Raises:
        UsageError: several directories of ``results`` have a run with this id.
    """
    if named is None or named.exists() or len(named.parts) != 1:
        return named
    found = [*RESULTS.glob(f"*/{named}"), *RESULTS.glob(f"*/*/{named}")]
    if named.name == "latest":
        return max(found, key=lambda link: link.resolve().name, default=named)  # an id begins with the time of its run
    if len(found) > 1:
        raise UsageError(f"there are several runs {named}", f"name one by its path, such as {found[0]}")
    return found[0] if found else named


def turn_off_color(wanted: bool) -> None:
    """Print without colours from now on, if that is wanted."""
    if wanted:
        os.environ["NO_COLOR"] = "1"  # rich follows it, here and in what this process starts


ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A file in scenarios/.", show_default=False)]
RunDirectory = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run: its directory, its id, or latest.", show_default=False, callback=find_run
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
Designs = Annotated[
    list[str],
    typer.Option(
        "--design", default_factory=list, show_default=False, metavar="NAME", help="Only this design (repeatable)."
    ),
]
Replicas = Annotated[int | None, typer.Option(metavar="N", help="Replicas of each design.")]
Balancer = Annotated[
    str | None, typer.Option(metavar="NAME", help="haproxy, nginx, envoy, traefik or caddy; service on Kubernetes.")
]
Backend = Annotated[Literal["process", "docker", "kubernetes"], typer.Option(help="Where the parts run.")]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Context of the kubeconfig, for Kubernetes (the current one)."),
]
AllowContexts = Annotated[
    list[str],
    typer.Option(
        "--allow-context",
        default_factory=list,
        show_default=False,
        metavar="NAME",
        help="A context that may lead to another machine (repeatable).",
    ),
]
# As ``ClusterAccess`` has them.
NAMESPACE_PREFIX, IMAGE, LOAD_IMAGE = "harness", "session-harness:latest", "session-harness-locust:latest"
NamespacePrefix = Annotated[str, typer.Option(metavar="TEXT", help="What the name of the run's namespace begins with.")]
ImageName = Annotated[str, typer.Option(metavar="REF", help="The image of all parts in pods.")]
LoadInside = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Load from N pods of the cluster; this machine then needs no route to it."),
]
LoadImage = Annotated[str, typer.Option(metavar="REF", help="The image of those pods.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of arrivals and operation ids.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where runs are kept.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the result.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every event as a line, and no live view.")]
NoColor = Annotated[
    bool, typer.Option("--no-color", callback=turn_off_color, help="Print without colours (NO_COLOR=1).")
]
#: Options that say what is shown; they change nothing that is measured.
_SHOWN = ("as_json", "quiet", "verbose", "no_color", "dry_run")


def read_values(context: typer.Context) -> dict[str, Any]:
    """The values of a command's flags, as recorded in run.json."""
    return {name: value for name, value in context.params.items() if name not in _SHOWN}
