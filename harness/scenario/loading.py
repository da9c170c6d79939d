"""TODO: harness.scenario.loading."""

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


@dataclass(frozen=True)
class Loaded:
    """A scenario read from its file."""

    scenario: Scenario
    path: Path
    sha256: str
    users: Path  # the file of their behaviour: mostly the same

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def load(path: Path, otherwise: "Scenario | None" = None) -> Loaded:
    """Import a scenario file (without Locust's monkey-patching) and take its ``SCENARIO``.

    One that comes with the harness is found by its name alone: ``node_kill``.

    ``otherwise`` is the scenario of a file that has none, such as a plain locustfile. A file without users is run with
    the probe (``harness.runner.default_locustfile``).

    Raises:
        UsageError: no such file, it does not import, has no ``SCENARIO`` and there is none ``otherwise``, or has both.
    """
    bundled = scenarios_home() / f"{path.stem}.py"
    if not path.is_file() and path.parent in (Path(), Path("scenarios")) and bundled.is_file():
        path = bundled
    require(path.is_file(), f"no scenario file {path}", "harness list scenarios shows the ones that come with it")
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
    module = _imported(path)
    scenario = getattr(module, "SCENARIO", otherwise)
    if not isinstance(scenario, Scenario):
        raise UsageError(
            f"{path} defines no SCENARIO",
            "add SCENARIO = Scenario(designs=[...], load=Sessions(...)), or say how to start the service: --command",
        )
    require(
        otherwise in (None, scenario),
        f"{path} has a SCENARIO of its own, which says what is run",
        "leave out --command",
    )
    users = path.resolve() if _users(module) else PROBING
    base = path.resolve().parent if otherwise is None else Path.cwd()
    return Loaded(located(scenario, base), path.resolve(), _sha256(path), users)


#: The users of a file that has none.
PROBING = Path(__file__).parents[1] / "runner" / "default_locustfile.py"


def user_classes(path: Path) -> list[type]:
    """The users of a file, in its order.

    Raises:
        UsageError: it does not import.
    """
    return _users(_imported(path))


def _users(module: object) -> list[type]:
    """Whom Locust finds there to spawn; asked without importing it."""
    kinds = [one for one in vars(module).values() if isinstance(one, type)]
    return [kind for kind in kinds if hasattr(kind, "wait_time") and getattr(kind, "abstract", True) is False]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def located(scenario: Scenario, base: Path) -> Scenario:
    """The scenario with the directories of its commands, and the path of its trace, counted from ``base``."""

    def design(one: Design) -> Design:
        return replace(one, target=one.target.located(base)) if isinstance(one.target, Command | Compose) else one

    load = scenario.load
    if isinstance(load.rate, Trace):
        load = replace(load, rate=load.rate.located(base))
    quick = located(scenario.quick, base) if isinstance(scenario.quick, Scenario) else scenario.quick
    return replace(scenario, designs=[design(one) for one in scenario.designs], load=load, quick=quick)


def _imported(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"harness_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as Locust does: its neighbours are there to import
    try:
        spec.loader.exec_module(module)
    except UsageError as problem:
        raise UsageError(f"{path}: {problem.message}", problem.hint) from problem
    except SyntaxError as problem:
        raise UsageError(f"{path}:{problem.lineno}: {problem.msg}", "mend the syntax and try again") from problem
    except Exception as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        raise UsageError(
            f"{path} does not import: {problem!r} (line {where.lineno} of {Path(where.filename).name})",
            f"mend it; python {path} shows the whole trace",
        ) from problem
    finally:
        sys.path.remove(folder)
    return module


def recorded(source: str, flags: Mapping[str, object]) -> tuple[Expectation, ...]:
    """The expectations of a scenario whose text and flags a run kept; none where the text no longer imports."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recorded_scenario.py"
        path.write_text(source)
        try:
            scenario = load(path).scenario
        except UsageError:
            return ()
    designs = flags.get("design")
    hosts = flags.get("allow_host")
    changes = Overrides(
        tuple(designs) if isinstance(designs, list) else (),
        quick=bool(flags.get("quick")),
        allow_hosts=tuple(hosts) if isinstance(hosts, list) else (),
    )
    return tuple(changes.apply(scenario).expect)
