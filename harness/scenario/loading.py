"""Reads a scenario from its file, which is also the locustfile of its users."""

import contextlib
import hashlib
import importlib.util
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from harness.common.bundled import scenarios_home
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.common.interrupts import Interrupted
from harness.scenario.checks import require
from harness.scenario.design import Design
from harness.scenario.rates import Trace
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Compose

#: The users of a scenario that defines none of its own.
DEFAULT_USERS = Path(__file__).parents[1] / "runner" / "default_locustfile.py"
#: The variable that limits how long a file may take to be imported.
IMPORT_WITHIN = "HARNESS_IMPORT_WITHIN"
#: The name of a run without a file.
_NAME_WITHOUT_FILE = "service"


@dataclass(frozen=True)
class Loaded:
    """A scenario read from its file."""

    scenario: Scenario
    name: str  # of the directory that keeps its runs
    path: Path
    sha256: str
    users: Path  # the file that defines their behaviour: usually the same
    has_ledgers: bool = True  # whether these users keep ledgers, as session users do and those of Locust do not
    keeps_old_cookies: bool = False  # whether some of them ignore the lifetimes of cookies


def load(path: Path | None, described: Scenario | None = None) -> Loaded:
    """Import a scenario file (without Locust's monkey-patching) and take its ``SCENARIO``.

    A scenario that comes with the harness is found by its name alone: ``node_kill``. ``described`` is the scenario for
    a file that has none, such as a plain locustfile; without a file it is the whole scenario. A scenario without users
    of its own gets those of ``harness.runner.default_locustfile``.

    Raises:
        UsageError: the file is missing, does not import, or has no ``SCENARIO``; or it has one and ``described``
            is given too.
    """
    name = path.stem if path is not None else _NAME_WITHOUT_FILE
    path = _find(path or DEFAULT_USERS)
    module = _import(path)
    scenario = getattr(module, "SCENARIO", described)
    if not isinstance(scenario, Scenario):
        raise UsageError(
            f"{path} defines no SCENARIO",
            "add SCENARIO = Scenario(designs=[...], load=Sessions(...)), or say how to start the service: --command",
        )
    require(
        described in (None, scenario),
        f"{path} has a SCENARIO of its own, which says what is run",
        "leave out --command",
    )
    users = path.resolve() if _users(module) else DEFAULT_USERS
    base = path.resolve().parent if described is None else Path.cwd()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kinds = _users(module)
    traits = have_ledgers(kinds), keep_old_cookies(kinds)
    return Loaded(located(scenario, base), name, path.resolve(), digest, users, *traits)


def user_classes(path: Path) -> list[type]:
    """The users defined in a file, in the file's order.

    Raises:
        UsageError: the file does not import.
    """
    return _users(_import(path))


def located(scenario: Scenario, base: Path) -> Scenario:
    """The scenario with its relative paths (directories of commands, a trace) resolved against ``base``."""

    def locate(design: Design) -> Design:
        service = design.target
        placed = service.located(base) if isinstance(service, Command | Compose) else service
        return replace(design, target=placed, balancing=design.balancing.located(base))

    load = scenario.load
    if isinstance(load.rate, Trace):
        load = replace(load, rate=load.rate.located(base))
    quick = located(scenario.quick, base) if isinstance(scenario.quick, Scenario) else scenario.quick
    return replace(scenario, designs=[locate(design) for design in scenario.designs], load=load, quick=quick)


def _find(path: Path) -> Path:
    """The file itself, or the bundled scenario of that name."""
    bundled = scenarios_home() / f"{path.stem}.py"
    if not path.is_file() and path.parent in (Path(), Path("scenarios")) and bundled.is_file():
        return bundled
    require(path.is_file(), f"no scenario file {path}", "harness list scenarios shows the ones that come with it")
    return path


def _users(module: object) -> list[type]:
    """The classes that Locust would spawn, found without importing Locust."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return [kind for kind in classes if hasattr(kind, "wait_time") and getattr(kind, "abstract", True) is False]


def have_ledgers(users: Sequence[type]) -> bool:
    """Whether users keep ledgers; a file without users of its own gets the harness's, which do."""
    return not users or any(hasattr(kind, "session") for kind in users)


def keep_old_cookies(users: Sequence[type]) -> bool:
    """Whether some users ignore the lifetimes of cookies, as ``cookies = "immortal"`` says."""
    return any(getattr(kind, "cookies", "") == "immortal" for kind in users)


def _import(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"harness_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as Locust does, so that the file can import its neighbours
    try:
        with _time_limit():
            spec.loader.exec_module(module)
    except BaseException as problem:  # a file may end the process, or interrupt it, while it is imported
        # As long as the harness handles no signals itself, as in pytest, any KeyboardInterrupt may be Ctrl-C.
        unhandled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if isinstance(problem, KeyboardInterrupt if unhandled else Interrupted):
            raise
        raise _import_error(path, problem) from problem
    finally:
        with contextlib.suppress(ValueError):  # the file may have removed it
            sys.path.remove(folder)
    return module


class ImportTooSlowError(BaseException):
    """A file is still being imported after its time; no handler of its own takes it for an error."""


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """End what takes longer than ``HARNESS_IMPORT_WITHIN`` (60 s); in the main thread, where signals arrive."""
    seconds = parse_seconds(os.environ.get(IMPORT_WITHIN, "60s"))
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise ImportTooSlowError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 1.0)  # and again, where the file catches everything
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _import_error(path: Path, problem: BaseException) -> UsageError:
    if isinstance(problem, UsageError):
        return UsageError(f"{path}: {problem.message}", problem.hint)
    if isinstance(problem, SyntaxError):
        return UsageError(f"{path}:{problem.lineno}: {problem.msg}", "correct the syntax and try again")
    frames = traceback.extract_tb(problem.__traceback__)
    frame = next((frame for frame in reversed(frames) if Path(frame.filename) == path), frames[-1])
    where = f"(line {frame.lineno} of {Path(frame.filename).name})"
    if isinstance(problem, ImportTooSlowError):
        return UsageError(f"{path} takes too long to import {where}", f"{IMPORT_WITHIN}=5m allows five minutes")
    if not isinstance(problem, Exception):
        return UsageError(f"{path} ends while it is imported: {problem!r} {where}", "leave that out of the file")
    return UsageError(
        f"{path} does not import: {problem!r} {where}", f"correct it; python {path} shows the whole traceback"
    )
