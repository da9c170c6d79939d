"""A minimal harness that holds a real topology in containers. ``python -m tests.support.docked RUN LOGS``."""

import asyncio
import sys
from pathlib import Path

from harness.cluster.backends import open_backend
from harness.cluster.supervisor import start_supervisor
from harness.common.clock import Clock
from harness.faults import Pause
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn

DESIGN = Design("plain", BuiltIn(state="redis"), replicas=1)


async def main(run: str, logs: Path) -> None:
    async with (
        start_supervisor(run) as supervisor,
        open_backend("docker", supervisor, run) as backend,
        backend.topology(DESIGN, logs, Clock()) as topology,
    ):
        assert (await Pause(0).inject(topology)).confirmed
        print("up", flush=True)
        await asyncio.sleep(1000)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
