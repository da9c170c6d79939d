"""``harness scale``."""

import re
from typing import Annotated

import typer

from harness.cli import flags
from harness.cli.errors import report_interrupt
from harness.common.errors import UsageError

Sizes = Annotated[str, typer.Option(metavar="N,N", help="The numbers of replicas.")]
SloP99 = Annotated[float, typer.Option(metavar="MS", help="The highest p99 latency allowed.")]
SloErrors = Annotated[float, typer.Option(metavar="SHARE", help="The highest share of errors allowed.")]


def scale(
    context: typer.Context,
    scenario: flags.ScenarioFile,
    *,
    replicas: Sizes = "1,2,4,8",
    design: flags.Designs,
    balancer: flags.Balancer = None,
    slo_p99: SloP99 = 200.0,
    slo_errors: SloErrors = 0.001,
    backend: flags.Backend = "process",
    kube_context: flags.Context = None,
    allow_context: flags.AllowContexts,
    namespace_prefix: flags.NamespacePrefix = flags.NAMESPACE_PREFIX,
    image: flags.ImageName = flags.IMAGE,
    load_inside: flags.LoadInside = 0,
    load_image: flags.LoadImage = flags.LOAD_IMAGE,
    seed: flags.Seed = None,
    out: flags.Out = flags.RESULTS,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    no_color: flags.NoColor = False,
    as_json: flags.Json = False,
) -> int:
    """Find the capacity at each size, and fit a scaling law.

    Example:

    \b
        harness scale scenarios/scale.py --replicas 1,2,4,8
    """
    from harness.analysis.scaling import capacity
    from harness.cli import tables
    from harness.runner import pipeline, progress_views, scaling_search
    from harness.scenario import cluster_access, driver_processes, loading, overrides

    plan = scaling_search.ScalePlan(_parse_sizes(replicas), capacity.Objectives(slo_p99, slo_errors))
    access = cluster_access.ClusterAccess(
        kube_context, tuple(allow_context), namespace_prefix, image, load_image, forwarded=load_inside > 0
    )
    drivers = driver_processes.DriverProcesses(inside=load_inside)
    changes = overrides.Overrides(
        tuple(design), balancer=balancer, seed=seed, drivers=drivers, backend=backend, access=access
    )
    recorded, views = {**flags.read_values(context), "replicas": plan.sizes}, progress_views.choose(quiet, verbose)
    outcome = pipeline.run_scaling(loading.load(scenario), changes, plan, results=out, flags=recorded, progress=views)
    tables.print_scaling(outcome.run.path, outcome.scaled, as_json)
    return report_interrupt() if outcome.interrupted else outcome.scaled.exit_code(plan.sizes)


def _parse_sizes(text: str) -> tuple[int, ...]:
    """``1,2,4`` as numbers."""
    sizes = text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,12}", size) for size in sizes):
        raise UsageError(
            f"--replicas {text!r}: sizes are numbers with commas between them", "for example --replicas 1,2,4,8"
        )
    return tuple(map(int, sizes))
