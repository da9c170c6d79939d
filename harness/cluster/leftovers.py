"""What a run left behind whose supervisor was killed: processes, containers, networks, scratch directories."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.supervisor.main import (
    OWNER_FILE,
    OWNER_VARIABLE,
    RUN_VARIABLE,
    SCRATCH_PREFIX,
    Stat,
    identity,
    processes,
    read_stat,
)
from harness.common.errors import EnvironmentLacksError

KEPT_IN_GIT = ("baselines", "gallery")


@dataclass(frozen=True)
class OrphanProcess:
    """A process whose supervisor is gone; ``run`` is empty if its environment does not name the run."""

    pid: int
    run: str
    command: str


@dataclass(frozen=True)
class RemovedItem:
    """One thing that was removed: a ``process``, ``container``, ``network``, ``scratch`` directory or ``run``."""

    kind: str
    what: str


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
    ownerless = _has_ended(environment.get(OWNER_VARIABLE, "")) or _works_in(process.pid, directories)
    if process.state in "ZX" or not ownerless:
        return None
    command = " ".join(_read_words(process.pid, "cmdline")).strip()
    return OrphanProcess(process.pid, environment.get(RUN_VARIABLE, ""), command)


def orphan_directories() -> tuple[Path, ...]:
    """Return the scratch directories of this user whose owner is gone."""
    prefix = Path(SCRATCH_PREFIX)
    candidates = (path for path in prefix.parent.glob(f"{prefix.name}*") if path.is_dir() and _belongs_to_user(path))
    return tuple(path for path in candidates if _has_ended(_owner(path)))


def remove(orphans: Iterable[OrphanProcess], directories: Iterable[Path]) -> None:
    """Kill the processes and remove the directories."""
    for orphan in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan.pid, signal.SIGKILL)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


def old_runs(results: Path) -> tuple[Path, ...]:
    """Return all runs in a directory of results, except the newest of each scenario and what is kept in git."""
    scenarios = (path for path in results.glob("*") if path.is_dir() and path.name not in KEPT_IN_GIT)
    runs = (sorted(run.parent for run in path.glob("*/run.json") if not run.parent.is_symlink()) for path in scenarios)
    return tuple(run for of_scenario in runs for run in of_scenario[:-1])


def clean(results: Path | None = None) -> tuple[RemovedItem, ...]:
    """Remove what crashes left behind, and the old runs in ``results`` if that is given; return what was removed."""
    orphans, directories, runs = orphan_processes(), orphan_directories(), old_runs(results) if results else ()
    containers_and_networks = _remove_orphan_containers()
    remove(orphans, [*directories, *runs])
    return (
        *containers_and_networks,
        *(RemovedItem("process", f"{orphan.pid} ({orphan.command})") for orphan in orphans),
        *(RemovedItem("scratch", str(path)) for path in directories),
        *(RemovedItem("run", str(path)) for path in runs),
    )


def _remove_orphan_containers() -> tuple[RemovedItem, ...]:
    """Remove the containers and networks whose harness is gone; do nothing if no Docker engine answers."""
    from harness.cluster.containers import connect_engine, owner, sweep  # noqa: PLC0415 - an SDK that only some need

    try:
        client = connect_engine().client
    except EnvironmentLacksError:
        return ()
    own_namespace = owner().partition(" ")[0]  # the identities of processes hold within a pid namespace

    def is_orphan(labels: Mapping[str, str]) -> bool:
        namespace, _, process = labels[sweep.OWNER].partition(" ")
        return namespace == own_namespace and _has_ended(process)

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


def _works_in(pid: int, directories: Sequence[Path]) -> bool:
    """Whether the working directory of a process is, or lies in, one of the directories."""
    if not directories:
        return False
    try:
        place = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return any(place.is_relative_to(directory) for directory in directories)


def _belongs_to_user(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.getuid()
    except OSError:
        return False


def _owner(path: Path) -> str:
    try:
        return (path / OWNER_FILE).read_text().partition(" ")[0]
    except OSError:
        return ""


def _has_ended(owner: str) -> bool:
    """Whether the process with that identity has ended; False if the text names no process."""
    pid = owner.partition(":")[0]
    if not pid.isdigit():
        return False
    process = read_stat(int(pid))
    return process is None or process.state in "ZX" or identity(int(pid)) != owner


def _read_words(pid: int, name: str) -> list[str]:
    """Read a file of /proc that holds words ended by NUL; empty if it cannot be read."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
