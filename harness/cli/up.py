"""``harness up``."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.errors import UsageError
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from harness.scenario.cluster_access import ClusterAccess
    from harness.scenario.design import Design

DesignName = Annotated[str, typer.Option(metavar="NAME", help="The design to bring up.")]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Where the balancer listens; 0 is a free port.")]


def up(
    scenario: flags.ScenarioFile,
    *,
    design: DesignName,
    replicas: flags.Replicas = None,
    balancer: flags.Balancer = None,
    port: Port = 0,
    backend: flags.Backend = "process",
    kube_context: flags.Context = None,
    allow_context: flags.AllowContexts,
    namespace_prefix: flags.NamespacePrefix = flags.NAMESPACE_PREFIX,
    image: flags.ImageName = flags.IMAGE,
    as_json: flags.Json = False,
) -> int:
    """Bring a design up, and hold it until Ctrl-C.

    Example:

    \b
        harness up scenarios/node_kill.py --design sticky
    """
    from harness.common import interrupts
    from harness.runner import machine_limits, preflight
    from harness.scenario import cluster_access, loading, overrides

    if port and backend == "kubernetes":
        raise UsageError("on Kubernetes the balancer has the address of its Service", "leave --port out")
    access = cluster_access.ClusterAccess(kube_context, tuple(allow_context), namespace_prefix, image)
    changes = overrides.Overrides((design,), replicas, balancer)
    chosen = changes.apply(loading.load(scenario).scenario).designs[0]
    machine_limits.require_replicas(chosen.replicas or 1)
    preflight.require_topology(chosen, backend, access)
    interrupts.run_until_interrupted(_hold(chosen, port, backend, access, as_json))
    return 0


async def _hold(design: "Design", port: int, backend: str, access: "ClusterAccess", as_json: bool) -> None:
    import asyncio

    from harness.runner import hold

    note(f"bringing up {design.name}")
    async with hold.hold_topology(design, port, backend, access) as held:
        topology, logs = held.topology, str(held.logs)
        replicas = [replica.name for replica in topology.replicas]
        if as_json:
            show(json.dumps({"url": topology.url, "replicas": replicas, "logs": logs}))
        else:
            show(f"{topology.url}  ({design.name}: {', '.join(replicas)}; logs in {logs})")
            note("Ctrl-C ends it; `harness kill r1` in another terminal kills a replica")
        await asyncio.Event().wait()
