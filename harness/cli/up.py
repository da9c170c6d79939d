"""``harness up``."""

import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags

if TYPE_CHECKING:
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
    as_json: flags.Json = False,
) -> int:
    """Bring a design up, and hold it until Ctrl-C.

    Example:

    \b
        harness up scenarios/node_kill.py --design sticky
    """
    import asyncio

    from harness.scenario import loading, overrides

    changes = overrides.Overrides((design,), replicas, balancer)
    chosen = changes.apply(loading.load(scenario).scenario).designs[0]
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # it ends as with Ctrl-C
    with tempfile.TemporaryDirectory(prefix="harness-up-") as logs:
        asyncio.run(_hold(chosen, Path(logs), port, backend, as_json))
    return 0


async def _hold(design: "Design", logs: Path, port: int, backend: str, as_json: bool) -> None:
    import asyncio

    from harness.runner import hold

    async with hold.hold_topology(design, logs, port, backend) as topology:
        replicas = [replica.name for replica in topology.replicas]
        if as_json:
            print(json.dumps({"url": topology.url, "replicas": replicas, "logs": str(logs)}), flush=True)
        else:
            print(f"{topology.url}  ({design.name}: {', '.join(replicas)}; logs in {logs})", flush=True)
            print("Ctrl-C ends it; `harness kill r1` in another terminal kills a replica", file=sys.stderr)
        await asyncio.Event().wait()
