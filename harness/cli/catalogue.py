"""What there is to choose from, for ``harness list``: read from files and tables, nothing is started."""

import ast
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import claims, faults
from harness.cluster import balancers
from harness.cluster.stores import STORES
from harness.common.bundled import scenarios_home, target_modules
from harness.scenario.design import Design
from harness.scenario.loading import load
from harness.scenario.services import BuiltIn


@dataclass(frozen=True)
class Entry:
    """One thing to choose: its name, what it is in a line, and a detail worth a column of its own."""

    name: str
    what: str
    detail: str = ""


def catalogue(kind: str | None = None) -> Mapping[str, tuple[Entry, ...]]:
    """Everything by kind, or one kind (a key of ``KINDS``) alone.

    Raises:
        UsageError: a scenario that comes with the harness does not load.
    """
    return {name: tuple(read()) for name, read in KINDS.items() if kind in (None, name)}


def _designs() -> Iterable[Entry]:
    for path in _modules(scenarios_home()).values():
        loaded = load(path)
        for design in loaded.scenario.designs:
            yield Entry(design.name, _in_words(design), loaded.name)


def _in_words(design: Design) -> str:
    service = ", ".join(f"{name} {value}" for name, value in design.target.describe().items())
    if isinstance(design.target, BuiltIn):
        service = f"{design.target.app} with its state in {design.target.state}"
    return f"{service}, {design.replicas} replicas, {design.balancing.policy}"


def _apps() -> Iterable[Entry]:
    return _described(target_modules("app"), "--app {}")


def _states() -> Iterable[Entry]:
    return _described(target_modules("state"), "--state {}")


def _scenarios() -> Iterable[Entry]:
    return _described(_modules(scenarios_home()), "{}.py")


def _balancers() -> Iterable[Entry]:
    for name, where in balancers.available().items():
        kind = balancers.SPECS[name]
        lacks = f"; lacks {', '.join(sorted(kind.lacks))}" if kind.lacks else ""
        found = str(where) if isinstance(where, Path) else f"missing: {where}"
        yield Entry(name, ", ".join(sorted(kind.supports)) + lacks, found)


def _stores() -> Iterable[Entry]:
    for name, store in STORES.items():
        yield Entry(name, _first_line(sys.modules[store.__module__].__doc__), f"for --state {name}")


def _faults() -> Iterable[Entry]:
    for name in faults.__all__:
        fault = getattr(faults, name)
        yield Entry(name, _first_line(fault.__doc__), fault.kind)


def _claims() -> Iterable[Entry]:
    for claim in claims.CLAIMS:
        yield Entry(claim.id, claim.says, ", ".join(need.name for need in claim.needs))


#: Every kind, and what reads it.
KINDS: Mapping[str, Callable[[], Iterable[Entry]]] = {
    "designs": _designs,
    "apps": _apps,
    "states": _states,
    "balancers": _balancers,
    "stores": _stores,
    "faults": _faults,
    "scenarios": _scenarios,
    "claims": _claims,
}


def _modules(folder: Path) -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")}


def _described(modules: Mapping[str, Path], detail: str) -> Iterable[Entry]:
    """Modules by their docstrings, without importing any: some need what is not installed."""
    for name, path in modules.items():
        yield Entry(name, _first_line(ast.get_docstring(ast.parse(path.read_text()))), detail.format(name))


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]
