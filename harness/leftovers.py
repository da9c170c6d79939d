"""What a run left behind whose supervisor was itself killed: processes, and scratch directories."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.supervisor.main import OWNER_FILE, OWNER_VARIABLE, RUN_VARIABLE, SCRATCH_PREFIX, Stat, identity, processes


@dataclass(frozen=True)
class Stray:
    """A process whose supervisor is gone; ``run`` is empty where its environment does not tell any more."""

    pid: int
    run: str
    command: str


@dataclass(frozen=True)
class Removed:
    """Something that was removed: a ``process``, a ``directory`` or a ``run``."""

    kind: str
    what: str


def clean(results: Path | None = None) -> tuple[Removed, ...]:
    """End what crashed runs left behind; with ``results`` remove each scenario's runs there too, but for the newest."""
    found, directories, runs = strays(), scratch_left(), old_runs(results) if results else ()
    remove(found, [*directories, *runs])
    return (
        *(Removed("process", f"{stray.pid} {stray.command}") for stray in found),
        *(Removed("directory", str(path)) for path in directories),
        *(Removed("run", str(path)) for path in runs),
    )


def old_runs(results: Path) -> tuple[Path, ...]:
    """Every run of every scenario but the newest; only directories that hold a run.json count."""
    by_scenario: dict[Path, list[Path]] = {}
    for plan in sorted(results.glob("*/*/run.json")):
        if not plan.parent.is_symlink():
            by_scenario.setdefault(plan.parent.parent, []).append(plan.parent)
    return tuple(run for runs in by_scenario.values() for run in runs[:-1])


def strays() -> tuple[Stray, ...]:
    """Processes of runs whose supervisor is gone.

    Told by their environment, which names the supervisor; or, for programs that overwrite theirs (nginx does, for its
    title), by their session, whose leader was the owner of a scratch directory left behind.
    """
    sessions = {int(owner.partition(":")[0]) for owner in map(_owner, scratch_left()) if owner}
    found = (_stray(process, sessions) for process in processes() if process.pid != os.getpid())
    return tuple(stray for stray in found if stray)


def _stray(process: Stat, sessions: set[int]) -> Stray | None:
    environment = _environment(process.pid)
    owner = environment.get(OWNER_VARIABLE)
    if process.state in "ZX" or not (_gone(owner) if owner else process.session in sessions):
        return None
    return Stray(process.pid, environment.get(RUN_VARIABLE, ""), " ".join(_words(process.pid, "cmdline")).strip())


def scratch_left() -> tuple[Path, ...]:
    """Scratch directories of this user whose owner is gone."""
    prefix = Path(SCRATCH_PREFIX)
    candidates = (path for path in prefix.parent.glob(f"{prefix.name}*") if path.is_dir() and _mine(path))
    return tuple(path for path in candidates if _gone(_owner(path)))


def remove(found: Iterable[Stray], directories: Iterable[Path]) -> None:
    """Kill these strays and remove these directories."""
    for stray in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stray.pid, signal.SIGKILL)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


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
    return pid.isdigit() and identity(int(pid)) != owner


def _environment(pid: int) -> Mapping[str, str]:
    pairs = (word.partition("=") for word in _words(pid, "environ"))
    return {name: value for name, _, value in pairs}


def _words(pid: int, name: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
