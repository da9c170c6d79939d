"""A minimal harness with unruly children: ``python -m tests.support.supervised RUN LOGS [raise|fork]``."""

import asyncio
import os
import sys
import time
from pathlib import Path

from harness.cluster.supervisor import ProcessSpec, start_supervisor
from harness.cluster.supervisor.signals import pause_child

FORKS_AWAY = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
    print("away", flush=True)
time.sleep(1000)
"""
AWKWARD = {
    "plain": ("sleep", "1000"),
    "forks": (sys.executable, "-S", "-c", FORKS_AWAY),
    "frozen": ("sleep", "1000"),
    "deaf": ("sh", "-c", "trap '' TERM INT HUP; echo deaf; while :; do sleep 0.05; done"),
}


async def main(run: str, logs: Path, ending: str) -> None:
    async with start_supervisor(run) as supervisor:
        children = {
            name: await supervisor.spawn(ProcessSpec(name, "replica", argv, logs / f"{name}.log"))
            for name, argv in AWKWARD.items()
        }
        await pause_child(children["frozen"])
        while children["forks"].log_tail().count("away") < 2 or not children["deaf"].log_tail():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        if ending == "fork" and os.fork() == 0:
            time.sleep(1000)  # noqa: ASYNC251 - an idle copy that holds all descriptors of the harness
        print("up", flush=True)
        if ending == "raise":
            raise RuntimeError("in the middle")
        await asyncio.sleep(1000)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), "".join(sys.argv[3:])))
