"""Where the targets and scenarios that come with the harness lie: beside it in a clone, inside it in a wheel."""

import ast
from collections.abc import Iterator, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_bundled"


def targets_home() -> Path:
    """The directory that contains the ``targets`` package."""
    return _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def scenarios_home() -> Path:
    """The directory of the scenarios."""
    return targets_home() / "scenarios"


def target_modules(kind: str) -> Mapping[str, Path]:
    """The file of each built-in ``app`` or ``state``, by the name under which ``targets/registry.py`` lists it."""
    registry = _registry()
    modules: Mapping[str, str] = {"app": registry.APPS, "state": registry.STATES}[kind]
    return {name: targets_home().joinpath(*module.split(".")).with_suffix(".py") for name, module in modules.items()}


def target_clients() -> Mapping[str, str]:
    """The package that a state imports and that comes with an extra of its name, by the state."""
    clients: Mapping[str, str] = _registry().CLIENTS
    return clients


def _registry() -> ModuleType:
    """``targets/registry.py``, loaded by its path: an installed wheel has ``targets`` where no import finds it."""
    spec = spec_from_file_location("targets_registry", targets_home() / "targets" / "registry.py")
    assert spec is not None and spec.loader is not None  # noqa: S101 - so it is for every path to a Python file
    registry = module_from_spec(spec)
    spec.loader.exec_module(registry)
    return registry


def target_options(kind: str, name: str) -> frozenset[str]:
    """The keys of ``--option`` that a built-in ``app`` or ``state`` reads: its ``OPTIONS``.

    They are read from the text of the module. Importing it would need the client library of its store.
    """
    return frozenset(_read_options(target_modules(kind)[name]))


def _read_options(module: Path) -> Iterator[str]:
    tree = ast.parse(module.read_text())
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    options = next(
        node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "OPTIONS"
    )
    for element in options.elts if isinstance(options, ast.Tuple) else ():
        if isinstance(element, ast.Constant):
            yield str(element.value)
        elif isinstance(element, ast.Starred):  # those of another module: ``*OPTIONS_OF_IT`` or ``*module.OPTIONS``
            package, inner = imported[ast.unparse(element.value).partition(".")[0]]
            dotted = f"{package}.{inner}" if isinstance(element.value, ast.Attribute) else package
            yield from _read_options(targets_home().joinpath(*dotted.split(".")).with_suffix(".py"))
