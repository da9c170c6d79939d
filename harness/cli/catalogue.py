"""The parts to choose from, for ``harness list``. Read from files and tables: nothing is started."""

import ast
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import claims, faults
from harness.cluster import balancers
from harness.cluster.kubernetes import service
from harness.cluster.stores import STORES
from harness.common.bundled import scenarios_home, target_modules
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn


@dataclass(frozen=True)
class Entry:
    """One part: its name, a line that describes it, and a detail that deserves its own column."""

    name: str
    what: str
    detail: str = ""


def catalogue(kind: str | None = None) -> Mapping[str, tuple[Entry, ...]]:
    """The parts of one kind (a key of ``KINDS``), or of all but the designs, whose scenarios take seconds to load.

    Raises:
        UsageError: a scenario that comes with the harness does not load.
    """
    kinds = [name for name in KINDS if name != SLOW] if kind is None else [kind]
    return {name: tuple(KINDS[name]()) for name in kinds}


def _designs() -> Iterable[Entry]:
    from harness.scenario.loading import load

    for path in _modules(scenarios_home()).values():
        loaded = load(path)
        for design in loaded.scenario.designs:
            yield Entry(design.name, _describe_design(design), loaded.name)


def _describe_design(design: Design) -> str:
    service = ", ".join(f"{name} {value}" for name, value in design.target.describe().items())
    if isinstance(design.target, BuiltIn):
        service = f"{design.target.app} with its state in {design.target.state}"
    return f"{service}, {design.replicas} replicas, {design.balancing.policy}"


def _balancers() -> Iterable[Entry]:
    for name, where in balancers.available().items():
        spec = balancers.SPECS[name]
        lacks = f"; lacks {', '.join(sorted(spec.lacks))}" if spec.lacks else ""
        program = str(where) if isinstance(where, Path) else f"missing: {where}"
        yield Entry(name, ", ".join(sorted(spec.supports)) + lacks, program)
    yield Entry(service.NAME, ", ".join(sorted(service.SUPPORTS)), "a Service, with --backend kubernetes")


#: The kind that is listed only on request.
SLOW = "designs"
#: Every kind, and what lists it.
KINDS: Mapping[str, Callable[[], Iterable[Entry]]] = {
    "designs": _designs,
    "apps": lambda: _describe_modules(target_modules("app"), "--app {}"),
    "states": lambda: _describe_modules(target_modules("state"), "--state {}"),
    "balancers": _balancers,
    "stores": lambda: (
        Entry(name, _first_line(sys.modules[store.__module__].__doc__), f"for --state {name}")
        for name, store in STORES.items()
    ),
    "faults": lambda: (
        Entry(fault.__name__, _first_line(fault.__doc__), fault.kind)
        for fault in (getattr(faults, name) for name in faults.__all__)
    ),
    "scenarios": lambda: _describe_modules(_modules(scenarios_home()), "{}.py"),
    "claims": lambda: (
        Entry(claim.id, claim.says, ", ".join(required.name for required in claim.required_runs))
        for claim in claims.CLAIMS
    ),
}


def _modules(folder: Path) -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")}


def _describe_modules(modules: Mapping[str, Path], detail: str) -> Iterable[Entry]:
    """Describe modules by their docstrings, without importing them: some need packages that are not installed."""
    for name, path in modules.items():
        yield Entry(name, _first_line(ast.get_docstring(ast.parse(path.read_text()))), detail.format(name))


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]
