"""Where load processes run: on this machine, or in pods of a cluster."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.cluster.kubernetes.manifests import FILES
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.load.control.machine import machine_id
from harness.load.control.plan import ENDPOINT, MACHINE, PORT, TOKEN
from harness.scenario.driver_processes import Address, DriverProcesses

ANY_ADDRESS = ("*", "0.0.0.0", "::")  # noqa: S104 - only --master-bind can ask for these
_ADAPTER = Path(__file__).parents[1] / "load" / "locustfiles" / "adapter.py"
#: Where the master in its pod listens to workers, and, on its loopback, to the harness.
_POD_MASTER = Address("0.0.0.0", 5557)  # noqa: S104 - in the pod; the connection needs the run's token
_POD_CHANNEL_PORT = 5558
_POD_SPOOL = Path("/tmp/harness-spool")  # noqa: S108 - in the pod, which has no other user


@dataclass(frozen=True)
class WorkerLink:
    """How workers reach their master: where, and with which token. With ``socket`` all are on this machine."""

    master: Address
    token: str = field(repr=False)
    socket: Path | None = None

    def environment(self) -> dict[str, str]:
        """The socket as an environment variable."""
        return {ENDPOINT: f"ipc://{self.socket}"} if self.socket else {}

    def secrets(self) -> dict[str, str]:
        """The token as an environment variable: a command line can be read by everybody."""
        return {TOKEN: self.token}


@dataclass(frozen=True)
class LoadPlace:
    """What the processes find there: the users' files and their own spool, as they see them, and the link to a master.

    ``env`` is for all of them, ``channel`` for the first. Pods get the files of ``folder``.
    """

    files: str
    spool: Path
    link: WorkerLink
    env: Mapping[str, str]
    channel: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


def find_place(scenario: Path, spool: Path, processes: DriverProcesses, scratch: Path, free_port: int) -> LoadPlace:
    """The place of these processes, for one load.

    On this machine, workers reach their master by a socket in ``scratch``, and those elsewhere where ``processes`` say.

    Raises:
        EnvironmentLacksError: no master can listen there.
    """
    if processes.inside:
        return _in_pods(scenario, processes.token, scratch)
    master = require_free(processes.bind) if processes.bind else Address(LOOPBACK, free_port)
    socket_path = None if processes.elsewhere else scratch / f"load-{secrets.token_hex(4)}"
    link = WorkerLink(master, processes.token, socket_path)
    return LoadPlace(f"{scenario},{_ADAPTER}", spool, link, python_environment())


def _in_pods(scenario: Path, token: str, scratch: Path) -> LoadPlace:
    """Copies of the files in a new folder in ``scratch``. The harness is that of the image."""
    folder = Path(tempfile.mkdtemp(prefix="load-", dir=scratch))
    copies = [folder / scenario.name, folder / f"harness_{_ADAPTER.name}"]
    for file, copy in zip((scenario, _ADAPTER), copies, strict=True):
        shutil.copyfile(file, copy)
    channel = {PORT: str(_POD_CHANNEL_PORT), MACHINE: machine_id()}
    link = WorkerLink(_POD_MASTER, token)
    return LoadPlace(",".join(f"{FILES}/{copy.name}" for copy in copies), _POD_SPOOL, link, {}, channel, folder)


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
            trial.bind(("" if address.host in ANY_ADDRESS else address.host, address.port))
        except OSError as problem:
            what = f"no master can listen on {address}: {problem.strerror}"
            raise EnvironmentLacksError(what, "choose another --master-bind") from problem
    return address
