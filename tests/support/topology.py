"""A minimal harness that holds a real topology, optionally with several faults in progress.

``python -m tests.support.topology RUN LOGS STATE BALANCER [broken]``
"""

import asyncio
import sys
import time
from pathlib import Path

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import start_supervisor
from harness.common.clock import Clock
from harness.faults import Partition, Pause, PauseStore, Slow
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn

FAULTS = (Pause(0), Slow(1), Partition("balancer-r1"), PauseStore())


async def main(run: str, logs: Path, state: str, balancer: str, broken: bool) -> None:
    links = ("balancer",) if broken else ()
    design = Design("plain", BuiltIn(state=state), replicas=2, balancing=Balancing(name=balancer), links=links)
    clock = Clock()
    clock.t0_ns = time.monotonic_ns()
    async with (
        start_supervisor(run) as supervisor,
        ProcessBackend(supervisor, run, "secret" * 8).topology(design, logs, clock) as topology,
    ):
        for fault in FAULTS if broken else ():
            evidence = await fault.inject(topology)
            assert evidence.confirmed, fault
        print("up", flush=True)
        await asyncio.sleep(1000)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:] == ["broken"]))
