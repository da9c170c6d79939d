"""Reads a scenario from its file, which is also the locustfile of its users."""

import hashlib
import importlib.util
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.common.bundled import scenarios_home
from harness.common.errors import UsageError
from harness.results.verdicts import Expectation
from harness.scenario.checks import require
from harness.scenario.design import Design
from harness.scenario.overrides import Overrides
from harness.scenario.rates import Trace
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Compose

#: The users of a scenario that defines none of its own.
DEFAULT_USERS = Path(__file__).parents[1] / "runner" / "default_locustfile.py"
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
    return Loaded(located(scenario, base), name, path.resolve(), digest, users)


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
        return replace(design, target=service.located(base)) if isinstance(service, Command | Compose) else design

    load = scenario.load
    if isinstance(load.rate, Trace):
        load = replace(load, rate=load.rate.located(base))
    quick = located(scenario.quick, base) if isinstance(scenario.quick, Scenario) else scenario.quick
    return replace(scenario, designs=[locate(design) for design in scenario.designs], load=load, quick=quick)


def recorded_expectations(source: str, flags: Mapping[str, object]) -> tuple[Expectation, ...] | None:
    """The expectations of a scenario whose text and flags a run recorded; None if the text no longer imports."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recorded_scenario.py"
        path.write_text(source)
        try:
            scenario = load(path).scenario
        except UsageError:
            return None
    designs = flags.get("design")
    hosts = flags.get("allow_host")
    changes = Overrides(
        tuple(designs) if isinstance(designs, list) else (),
        quick=bool(flags.get("quick")),
        allow_hosts=tuple(hosts) if isinstance(hosts, list) else (),
    )
    return tuple(changes.apply(scenario).expect)


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
        spec.loader.exec_module(module)
    except Exception as problem:
        raise _import_error(path, problem) from problem
    finally:
        sys.path.remove(folder)
    return module


def _import_error(path: Path, problem: Exception) -> UsageError:
    if isinstance(problem, UsageError):
        return UsageError(f"{path}: {problem.message}", problem.hint)
    if isinstance(problem, SyntaxError):
        return UsageError(f"{path}:{problem.lineno}: {problem.msg}", "correct the syntax and try again")
    frame = traceback.extract_tb(problem.__traceback__)[-1]
    return UsageError(
        f"{path} does not import: {problem!r} (line {frame.lineno} of {Path(frame.filename).name})",
        f"correct it; python {path} shows the whole traceback",
    )
