"""A worker for runs on another machine: it takes part in one load after another."""

import asyncio
import itertools
import shutil
from dataclasses import replace

from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import EnvironmentLacksError
from harness.load.control.plan import WorkerConfig
from harness.results.run import new_run_id
from harness.runner.driver_commands import worker_command
from harness.runner.load_place import WorkerLink, python_environment

_RESTART_INTERVAL_S = 0.5
#: Exit codes after which the worker waits for the next load: the load ended well, or its master disconnected.
_EXPECTED_CODES = (0, 3)


async def work(link: WorkerLink) -> None:
    """Generate load for a master until cancelled. The master sends the users.

    Raises:
        EnvironmentLacksError: no master answered for five minutes, or this machine cannot be its worker.
    """
    async with start_supervisor(f"worker-{new_run_id()}") as supervisor:
        for number in itertools.count(1):
            code, last = await _serve(supervisor, link, f"worker-{number}")
            if code not in _EXPECTED_CODES:
                raise EnvironmentLacksError(f"the work for {link.master} ended with code {code}", last)
            await asyncio.sleep(_RESTART_INTERVAL_S)


async def _serve(supervisor: Supervisor, link: WorkerLink, name: str) -> tuple[int, str]:
    """Take part in one load. Returns the exit code and the last lines of the log."""
    scratch = supervisor.scratch / name
    scratch.mkdir()
    command = worker_command(name, WorkerConfig(scratch / "spool", 0), "-", link, scratch / "log")
    # Locust stores the files that the master sends in TMPDIR.
    child = await supervisor.spawn(
        replace(command, env={**command.env, **python_environment(), "TMPDIR": str(scratch)})
    )
    child.end_expected = True
    code = await child.wait()
    last = child.log_tail(5)
    shutil.rmtree(scratch, ignore_errors=True)
    return code, last
