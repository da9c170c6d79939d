"""``harness scale``."""

from typing import Annotated

import typer

from harness.cli import flags
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
    seed: flags.Seed = None,
    out: flags.Out = flags.RESULTS,
    as_json: flags.Json = False,
) -> int:
    """Find the capacity at each size, and fit a scaling law.

    Example:

    \b
        harness scale scenarios/scale.py --replicas 1,2,4,8
    """
    from harness.analysis.scaling import capacity
    from harness.cli import tables
    from harness.runner import pipeline, progress
    from harness.runner import scaling_search as scaling
    from harness.scenario import loading, overrides

    sizes = _parse_sizes(replicas)
    plan = scaling.ScalePlan(sizes, capacity.Objectives(slo_p99, slo_errors))
    changes = overrides.Overrides(tuple(design), balancer=balancer, seed=seed, backend=backend)
    outcome = pipeline.run_scaling(
        loading.load(scenario),
        changes,
        plan,
        results=out,
        flags={**flags.read_values(context), "replicas": sizes},
        progress=progress.progress(),
    )
    tables.print_scaling(outcome.run.path, outcome.scaled, as_json)
    return 130 if outcome.interrupted else outcome.scaled.exit_code(sizes)


def _parse_sizes(text: str) -> tuple[int, ...]:
    """``1,2,4`` as numbers."""
    sizes = text.split(",")
    if not all(size.isdigit() for size in sizes):
        raise UsageError(
            f"--replicas {text!r}: sizes are numbers with commas between them", "for example --replicas 1,2,4,8"
        )
    return tuple(map(int, sizes))
