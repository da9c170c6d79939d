"""How the load processes are started: their commands, their environment, and the address of their master."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.cluster.supervisor import ProcessSpec
from harness.common.ports import LOOPBACK
from harness.load.control.plan import LoadPlan, WorkerConfig, environment
from harness.runner.load_place import ANY_ADDRESS, LoadPlace, WorkerLink
from harness.scenario.driver_processes import Address, DriverProcesses

#: Locust, with a connection to its workers that needs the token.
_SECURED = "harness.load.workers.secured_locust"


@dataclass(frozen=True)
class DriverCommands:
    """The commands of the processes of one load."""

    place: LoadPlace
    plan: LoadPlan
    processes: DriverProcesses
    log: Path
    seed: int

    def first(self) -> ProcessSpec:
        """The process with the channel: it drives the load alone, or is the master."""
        workers = self.processes.workers
        users = str(self.plan.users_for(workers))
        options = ["--headless", "--only-summary", "-u", users, "-r", users, "--exit-code-on-error", "0"]
        if workers:
            master = self.place.link.master
            bind = ("--master-bind-host", master.host, "--master-bind-port", str(master.port))
            options += ["--master", "--expect-workers", str(workers), *bind]
        place = self.place
        plan = self.plan.with_trace_times() if place.folder else self.plan  # pods do not have the file of a trace
        env = {**environment(place.spool, plan, self.seed, self.processes), **place.env, **place.channel}
        env |= self.place.link.environment() if workers else {}
        argv = (*_locust(_SECURED if workers else "locust", place.files), *options)
        secrets = self.place.link.secrets() if workers else {}
        return ProcessSpec("load", "driver", argv, self.log, env, place.folder, secrets=secrets)

    def workers(self, master: str) -> Iterator[ProcessSpec]:
        """The workers under a master that the harness starts, which reach it at the host ``master``."""
        link, place = self.place.link, self.place
        link = replace(link, master=Address(master, link.master.port)) if self.processes.inside else link
        for number in range(1, self.processes.here + self.processes.inside + 1) if self.processes.workers else ():
            name = f"worker-{number}"
            log = self.log.with_stem(f"{self.log.stem}-{number}")
            command = worker_command(name, WorkerConfig(place.spool / name, number), place.files, link, log)
            yield replace(command, env={**command.env, **place.env}, cwd=place.folder)


def worker_command(name: str, config: WorkerConfig, files: str, link: WorkerLink, log: Path) -> ProcessSpec:
    """A worker of a master; with ``-`` as the files, the master sends them."""
    master = link.master
    host = LOOPBACK if master.host in ANY_ADDRESS else master.host
    options = ("--worker", "--master-host", host, "--master-port", str(master.port), "--exit-code-on-error", "0")
    env = {**config.environment(), **link.environment()}
    return ProcessSpec(name, "driver", (*_locust(_SECURED, files), *options), log, env, secrets=link.secrets())


def _locust(module: str, files: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, "-f", files)
