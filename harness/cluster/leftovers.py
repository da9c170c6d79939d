"""What a run left behind whose supervisor was killed: processes, containers, networks, namespaces, directories.

Each names its owner with the boot and the PID namespace in which that runs. What belongs to another namespace or boot,
or names no owner, is left alone: from here it is impossible to know whether it is still in use.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.cluster.kubernetes import is_configured, require_client
from harness.cluster.supervisor.main import (
    OWNER_FILE,
    OWNER_VARIABLE,
    RUN_VARIABLE,
    SCRATCH_PREFIX,
    Stat,
    has_ended,
    identity,
    processes,
)
from harness.common.errors import EnvironmentLacksError, HarnessError


@dataclass(frozen=True)
class OrphanProcess:
    """A process whose supervisor is gone; ``run`` is empty if its environment does not name the run."""

    pid: int
    identity: str
    run: str
    command: str


@dataclass(frozen=True)
class RemovedItem:
    """One thing that was removed.

    Its ``kind`` is ``process``, ``container``, ``network``, ``namespace``, ``scratch`` (a directory) or ``run``.
    """

    kind: str
    what: str


@dataclass(frozen=True)
class Cleaning:
    """What was removed, and why namespaces may be left.

    That is a ``problem`` where the user named the cluster, or where a namespace was found and could not be removed.
    Otherwise it is only a ``doubt``: many have a kubeconfig, and never let the harness use its cluster.
    """

    removed: tuple[RemovedItem, ...]
    problem: HarnessError | None = None
    doubt: str = ""


def orphan_processes() -> tuple[OrphanProcess, ...]:
    """Return the processes of runs whose supervisor is gone.

    Their environment names the supervisor. Some programs overwrite their environment (nginx does, for its title): they
    are recognized by their working directory, an orphaned scratch directory.
    """
    directories = orphan_directories()
    orphans = (_as_orphan(process, directories) for process in processes() if process.pid != os.getpid())
    return tuple(orphan for orphan in orphans if orphan)


def _as_orphan(process: Stat, directories: Sequence[Path]) -> OrphanProcess | None:
    pairs = (word.partition("=") for word in _read_words(process.pid, "environ"))
    environment = {name: value for name, _, value in pairs}
    ownerless = has_ended(environment.get(OWNER_VARIABLE, "")) or _works_in(process.pid, directories)
    if process.state in "ZX" or not ownerless:
        return None
    command = " ".join(_read_words(process.pid, "cmdline")).strip()
    named = f"{process.pid}:{process.started}"
    return OrphanProcess(process.pid, named, environment.get(RUN_VARIABLE, ""), command)


def orphan_directories() -> tuple[Path, ...]:
    """Return the scratch directories of this user whose owner is gone."""
    return tuple(path for path in scratch_directories() if has_ended(_owner(path)))


def scratch_directories() -> tuple[Path, ...]:
    """Return the scratch directories of this user, in use or not; a link to a directory is none."""
    prefix = Path(SCRATCH_PREFIX)
    return tuple(path for path in sorted(prefix.parent.glob(f"{prefix.name}*")) if _is_own_directory(path))


def remove(orphans: Iterable[OrphanProcess], directories: Iterable[Path]) -> None:
    """Kill the processes and remove the directories."""
    for orphan in orphans:
        if identity(orphan.pid) == orphan.identity:  # it has not ended since, with its pid given to another
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan.pid, signal.SIGKILL)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


def clean(context: str | None = None) -> Cleaning:
    """Remove what crashes left behind, on this machine first, and then in one cluster.

    That is the cluster of a context of the kubeconfig, or of the current one.
    """
    removed, in_cluster = _clean_machine(), _clean_cluster(context)
    return replace(in_cluster, removed=(*removed, *in_cluster.removed))


def _clean_machine() -> tuple[RemovedItem, ...]:
    """Remove processes, directories, containers and networks; returns them."""
    orphans, directories = orphan_processes(), orphan_directories()
    try:
        in_engine = _remove_orphan_containers()  # they may write to the directories
    finally:
        remove(orphans, directories)
    return (
        *in_engine,
        *(RemovedItem("process", f"{orphan.pid} ({orphan.command})") for orphan in orphans),
        *(RemovedItem("scratch", str(path)) for path in directories),
    )


def _remove_orphan_containers() -> tuple[RemovedItem, ...]:
    """Remove the containers and networks whose harness is gone; do nothing if no Docker engine answers."""
    from harness.cluster.containers import connect_engine, sweep  # noqa: PLC0415 - an SDK that only some need

    try:
        client = connect_engine().client
    except EnvironmentLacksError:
        return ()

    def is_orphan(labels: Mapping[str, str]) -> bool:
        return has_ended(labels[sweep.OWNER])

    containers, networks = sweep.find_labelled(client, sweep.OWNER)
    containers = [container for container in containers if is_orphan(container.labels)]
    networks = [network for network in networks if is_orphan(network.attrs["Labels"])]
    runs = {
        *(container.labels[sweep.RUN] for container in containers),
        *(network.attrs["Labels"][sweep.RUN] for network in networks),
    }
    for run in runs:
        sweep.sweep(client, run)
    return (
        *(RemovedItem("container", str(container.name)) for container in containers),
        *(RemovedItem("network", str(network.name)) for network in networks),
    )


def _clean_cluster(context: str | None) -> Cleaning:
    """Remove what a harness that is gone left there; do nothing if no cluster is named, here or by the user."""
    if context is None and not is_configured():
        return Cleaning(())
    try:
        require_client()
    except EnvironmentLacksError as lack:  # so nothing that is installed here has made a namespace
        return Cleaning((), lack if context else None)
    from harness.cluster.kubernetes.api import connect_api  # noqa: PLC0415 - a client library that only some need
    from harness.cluster.kubernetes.sweep import Sweeping, sweep  # noqa: PLC0415

    async def sweep_all() -> Sweeping:
        return await sweep(await connect_api(context), has_ended)

    try:
        swept = asyncio.run(sweep_all())
    except HarnessError as problem:
        return Cleaning((), problem) if context else Cleaning((), doubt=problem.message)
    return Cleaning(tuple(RemovedItem(kind, name) for kind, name in swept.removed), swept.problem)


def _works_in(pid: int, directories: Sequence[Path]) -> bool:
    """Whether the working directory of a process is, or lies in, one of the directories."""
    if not directories:
        return False
    try:
        place = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return any(place.is_relative_to(directory) for directory in directories)


def _is_own_directory(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _owner(path: Path) -> str:
    try:
        return (path / OWNER_FILE).read_text().partition(" ")[0]
    except (OSError, ValueError):
        return ""


def _read_words(pid: int, name: str) -> list[str]:
    """Read a file of /proc that holds words ended by NUL; empty if it cannot be read."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
