"""Where the targets and scenarios that come with the harness lie: beside it in a clone, inside it in a wheel."""

from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_bundled"


def targets_home() -> Path:
    """The directory that contains the ``targets`` package."""
    return _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def scenarios_home() -> Path:
    """The directory of the scenarios."""
    return targets_home() / "scenarios"


def target_modules(kind: str) -> Mapping[str, Path]:
    """The file of each built-in ``app`` or ``state``, by the name under which ``targets/registry.py`` lists it.

    The registry is loaded by its path, since an installed wheel has ``targets`` where no import finds it.
    """
    spec = spec_from_file_location("targets_registry", targets_home() / "targets" / "registry.py")
    assert spec is not None and spec.loader is not None  # noqa: S101 - so it is for every path to a Python file
    registry = module_from_spec(spec)
    spec.loader.exec_module(registry)
    modules: Mapping[str, str] = {"app": registry.APPS, "state": registry.STATES}[kind]
    return {name: targets_home().joinpath(*module.split(".")).with_suffix(".py") for name, module in modules.items()}
