"""Starts the supervisor process and connects to it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from harness.cluster.supervisor import main
from harness.cluster.supervisor.client import ProcessSupervisor
from harness.cluster.supervisor.pinning import cpus_by_role

#: Variables that are meant for the harness alone: a flag for its imports, and the secret of its workers.
_OWN_VARIABLES = ("LOCUST_SKIP_MONKEY_PATCH", "HARNESS_WORKER_TOKEN")


@asynccontextmanager
async def start_supervisor(
    run_id: str, cpus: Mapping[str, tuple[int, ...]] | None = None
) -> AsyncIterator[ProcessSupervisor]:
    """Start a supervisor for the length of a scope.

    ``cpus`` gives the cores that each role may use; by default, they follow from the number of cores.

    Raises:
        EnvironmentLacksError: it cannot make its scratch directory.
    """
    harness_end, supervisor_end = socket.socketpair()
    if cpus is None:
        cpus = cpus_by_role(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ())
    supervisor = ProcessSupervisor(harness_end, cpus)
    with _end_signals_blocked():  # until the supervisor handles them: its imports must not be interrupted
        process = subprocess.Popen(  # noqa: ASYNC220 - two milliseconds, once per run
            [sys.executable, "-I", "-S", str(Path(main.__file__)), str(supervisor_end.fileno())],
            pass_fds=[supervisor_end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_environment(run_id),
            start_new_session=True,
        )
    supervisor_end.close()
    try:
        await supervisor.wait_until_ready()
        yield supervisor
    finally:
        await supervisor.end()
        process.wait()


@contextmanager
def _end_signals_blocked() -> Iterator[None]:
    """Block them in this thread, and so at first in every process that it starts meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, main.END_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment(run_id: str) -> dict[str, str]:
    """What children inherit: this process's environment, without the variables meant for this process alone.

    Proxies must never touch loopback traffic. The flag that keeps Locust from patching the harness on import must not
    reach the load process.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and name not in _OWN_VARIABLES
    }
    return {**inherited, "NO_PROXY": "*", "no_proxy": "*", main.RUN_VARIABLE: run_id}
