"""How the load processes are started: their commands, their environment, and the address of their master."""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.supervisor import ProcessSpec
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.load.control.plan import LoadPlan, WorkerConfig, environment
from harness.scenario.driver_processes import Address, DriverProcesses

_ANY_ADDRESS = ("*", "0.0.0.0", "::")  # noqa: S104 - only --master-bind can ask for these
_ADAPTER = Path(__file__).parents[1] / "load" / "locustfiles" / "adapter.py"


@dataclass(frozen=True)
class DriverCommands:
    """The commands of the processes of one load."""

    scenario: Path
    plan: LoadPlan
    processes: DriverProcesses
    master: Address
    spool: Path
    log: Path
    seed: int

    def first(self) -> ProcessSpec:
        """The process with the channel: it drives the load alone, or is the master."""
        workers = self.processes.workers
        users = str(self.plan.users_for(workers))
        options = ["--headless", "--only-summary", "-u", users, "-r", users, "--exit-code-on-error", "0"]
        if workers:
            bind = ("--master-bind-host", self.master.host, "--master-bind-port", str(self.master.port))
            options += ["--master", "--expect-workers", str(workers), *bind]
        env = {**environment(self.spool, self.plan, self.seed, self.processes), **python_environment()}
        return ProcessSpec("load", "driver", (*_locust(self._files), *options), self.log, env)

    def workers(self) -> Iterator[ProcessSpec]:
        """The workers on this machine under a master."""
        for number in range(1, self.processes.here + 1) if self.processes.workers else ():
            name = f"worker-{number}"
            log = self.log.with_stem(f"{self.log.stem}-{number}")
            yield worker_command(name, WorkerConfig(self.spool / name, number), self._files, self.master, log)

    @property
    def _files(self) -> str:
        return f"{self.scenario},{_ADAPTER}"


def worker_command(name: str, config: WorkerConfig, files: str, master: Address, log: Path) -> ProcessSpec:
    """A worker of a master; with ``-`` as the files, the master sends them."""
    host = LOOPBACK if master.host in _ANY_ADDRESS else master.host
    options = ("--worker", "--master-host", host, "--master-port", str(master.port), "--exit-code-on-error", "0")
    env = {**config.environment(), **python_environment()}
    return ProcessSpec(name, "driver", (*_locust(files), *options), log, env)


def _locust(files: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "locust", "-f", files)


def python_environment() -> dict[str, str]:
    """An environment with this harness first on PYTHONPATH, so that the load process imports the same one."""
    root = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root, "PYTHONUNBUFFERED": "1"}


def require_free(address: Address) -> Address:
    """Return the address if it can be listened on; connections of an earlier listener may still be closing.

    Raises:
        EnvironmentLacksError: another process listens there, or this machine has no such address.
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("" if address.host in _ANY_ADDRESS else address.host, address.port))
        except OSError as problem:
            what = f"no master can listen on {address}: {problem.strerror}"
            raise EnvironmentLacksError(what, "choose another --master-bind") from problem
    return address
