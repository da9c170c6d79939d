"""What a run left behind whose supervisor was itself killed: processes, containers, networks, scratch directories."""

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
    """A process whose supervisor is gone; ``run`` is empty where its environment does not tell any more."""

    pid: int
    run: str
    command: str


@dataclass(frozen=True)
class RemovedItem:
    """One thing that was cleaned away: a ``process``, ``container``, ``network``, ``scratch`` directory or ``run``."""

    kind: str
    what: str


def orphan_processes() -> tuple[OrphanProcess, ...]:
    """Processes of runs whose supervisor is gone.

    Told by their environment, which names the supervisor; or, for programs that overwrite theirs (nginx does, for its
    title), by where they stand: in a scratch directory left behind.
    """
    left = orphan_directories()
    found = (_stray(process, left) for process in processes() if process.pid != os.getpid())
    return tuple(stray for stray in found if stray)


def _stray(process: Stat, left: Sequence[Path]) -> OrphanProcess | None:
    environment = _environment(process.pid)
    owner = environment.get(OWNER_VARIABLE, "")
    if process.state in "ZX" or not (_gone(owner) or (left and _stands_in(process.pid, left))):
        return None
    return OrphanProcess(
        process.pid, environment.get(RUN_VARIABLE, ""), " ".join(_words(process.pid, "cmdline")).strip()
    )


def orphan_directories() -> tuple[Path, ...]:
    """Scratch directories of this user whose owner is gone."""
    prefix = Path(SCRATCH_PREFIX)
    candidates = (path for path in prefix.parent.glob(f"{prefix.name}*") if path.is_dir() and _mine(path))
    return tuple(path for path in candidates if _gone(_owner(path)))


def remove(found: Iterable[OrphanProcess], directories: Iterable[Path]) -> None:
    """Kill these strays and remove these directories."""
    for stray in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stray.pid, signal.SIGKILL)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


def old_runs(results: Path) -> tuple[Path, ...]:
    """All runs in a directory of results but each scenario's newest; what is kept in git beside them is none."""
    scenarios = (path for path in results.glob("*") if path.is_dir() and path.name not in KEPT_IN_GIT)
    runs = (sorted(run.parent for run in path.glob("*/run.json") if not run.parent.is_symlink()) for path in scenarios)
    return tuple(run for of_scenario in runs for run in of_scenario[:-1])


def clean(results: Path | None = None) -> tuple[RemovedItem, ...]:
    """Remove what crashes left behind, and the old runs in ``results`` where that is given; what was removed."""
    found, directories, runs = orphan_processes(), orphan_directories(), old_runs(results) if results else ()
    docked = _docked()
    remove(found, [*directories, *runs])
    return (
        *docked,
        *(RemovedItem("process", f"{stray.pid} ({stray.command})") for stray in found),
        *(RemovedItem("scratch", str(path)) for path in directories),
        *(RemovedItem("run", str(path)) for path in runs),
    )


def _docked() -> tuple[RemovedItem, ...]:
    """Containers and networks whose harness is gone are removed; none, where no Docker engine answers."""
    from harness.cluster.containers import connect_engine, owner, sweep  # noqa: PLC0415 - an SDK that only some need

    try:
        client = connect_engine().client
    except EnvironmentLacksError:
        return ()
    here = owner().partition(" ")[0]  # processes can be told only in this namespace of them

    def stray(labels: Mapping[str, str]) -> bool:
        space, _, who = labels[sweep.OWNER].partition(" ")
        return space == here and _gone(who)

    containers, networks = sweep.find_labelled(client, sweep.OWNER)
    containers = [one for one in containers if stray(one.labels)]
    networks = [one for one in networks if stray(one.attrs["Labels"])]
    runs = {one.labels[sweep.RUN] for one in containers} | {one.attrs["Labels"][sweep.RUN] for one in networks}
    for run in runs:
        sweep.sweep(client, run)
    named = [("container", containers), ("network", networks)]
    return tuple(RemovedItem(kind, str(one.name)) for kind, found in named for one in found)


def _stands_in(pid: int, directories: Sequence[Path]) -> bool:
    try:
        place = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return any(place.is_relative_to(directory) for directory in directories)


def _mine(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.getuid()
    except OSError:
        return False


def _owner(path: Path) -> str:
    try:
        return (path / OWNER_FILE).read_text().partition(" ")[0]
    except OSError:
        return ""


def _gone(owner: str) -> bool:
    """Whether the process that an owner's text names has ended; False where it names none."""
    pid = owner.partition(":")[0]
    if not pid.isdigit():
        return False
    process = read_stat(int(pid))
    return process is None or process.state in "ZX" or identity(int(pid)) != owner


def _environment(pid: int) -> Mapping[str, str]:
    pairs = (word.partition("=") for word in _words(pid, "environ"))
    return {name: value for name, _, value in pairs}


def _words(pid: int, name: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
