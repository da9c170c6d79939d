"""A harness in miniature, ``python -m tests.fakes_topology RUN LOGS STATE BALANCER``: a real topology, held up."""

import asyncio
import sys
from pathlib import Path

from harness.clock import Clock
from harness.scenario import Balancing, Design
from harness.supervisor import supervised
from harness.topology.process import ProcessBackend


async def main(run: str, logs: Path, state: str, balancer: str) -> None:
    design = Design("plain", state=state, replicas=2, balancing=Balancing(name=balancer))
    async with (
        supervised(run) as supervisor,
        ProcessBackend(supervisor, run, "secret" * 8).topology(design, logs, Clock()),
    ):
        print("up", flush=True)
        await asyncio.sleep(1000)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
