"""A worker for the runs of another machine: it takes its share of one load after the other."""

import asyncio
import itertools
import shutil
from dataclasses import replace

from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError
from harness.load.control.plan import WorkerConfig
from harness.results.run import new_run_id
from harness.runner.driver_commands import worker_command
from harness.scenario.driver_processes import Address

_REST_S = 0.5
#: A load that ended well, and one whose master went away: there may be another.
_FINE = (0, 3)


async def work(master: Address) -> None:
    """Drive for a master until this is cancelled. The users are those that the master sends.

    Raises:
        EnvironmentLacksError: no master was there for five minutes, or this machine cannot work for it.
    """
    async with start_supervisor(f"worker-{new_run_id()}") as supervisor:
        for number in itertools.count(1):
            code, last = await _serve(supervisor, master, f"worker-{number}")
            if code not in _FINE:
                raise EnvironmentLacksError(f"the work for {master} ended with code {code}", last)
            await asyncio.sleep(_REST_S)


async def _serve(supervisor: Supervisor, master: Address, name: str) -> tuple[int, str]:
    """Take part in one load: its exit code, and the last lines of its log."""
    scratch = supervisor.scratch / name
    scratch.mkdir()
    command = worker_command(name, WorkerConfig(scratch / "spool", 0), "-", master, scratch / "log")
    # Locust keeps there the files that it is sent.
    child = await supervisor.spawn(replace(command, env={**command.env, "TMPDIR": str(scratch)}))
    child.end_expected = True
    code = await child.wait()
    last = child.log_tail(5)
    shutil.rmtree(scratch, ignore_errors=True)
    return code, last
