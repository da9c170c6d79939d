"""Imports follow the plan in harness/ARCHITECTURE.md: this test reads it, so that the two cannot drift apart."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAN = ROOT / "harness" / "ARCHITECTURE.md"
#: What reads a recorded run, where nothing runs any more, and what it must not import.
READERS, ACTORS = ("analysis", "report", "site"), ("cluster", "faults", "load", "runner")
#: The one part of the load that both processes share.
SHARED = "harness.load.control"
Imports = Mapping[str, frozenset[str]]

pytestmark = pytest.mark.xdist_group("imports")  # one worker reads them


def orders(plan: str) -> dict[str, list[str]]:
    """The order of each package's members: ``harness`` from the table, the others from their own lines.

    A row ``| `common/` | ... |`` adds a room; a line ``Inside `load/`: `a` `b/` ... `` gives the order inside a room.
    """
    members_by_package = {"harness": re.findall(r"^\| `([\w.]+?)/?`", plan, re.MULTILINE)}
    for room, members in re.findall(r"^Inside `([\w/]+)/`: (.*)$", plan, re.MULTILINE):
        members_by_package[room.replace("/", ".")] = re.findall(r"`(\w+)/?`", members)
    return members_by_package


def module_name(path: Path, root: Path = ROOT) -> str:
    relative = path.relative_to(root).with_suffix("")
    return ".".join(relative.parts[:-1] if relative.name == "__init__" else relative.parts)


def imported(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Every name that a file imports, wherever in it: at the top, in a function, for type checking."""
    name = module_name(path, root)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def read_imports(top: str, root: Path = ROOT) -> Imports:
    """The modules that each module below ``top`` imports, of those below ``top``."""
    paths = {module_name(path, root): path for path in (root / top).rglob("*.py") if "_bundled" not in path.parts}
    return {name: frozenset(_modules(imported(path, root), paths) - {name}) for name, path in paths.items()}


def _modules(names: Iterable[str], known: Iterable[str]) -> set[str]:
    """The modules that imported names belong to: ``a.b.Class`` is of ``a.b``."""
    return {name if name in known else name.rpartition(".")[0] for name in names} & set(known)


def member(module: str, package: str) -> str | None:
    """Which member of ``package`` a module is, or belongs to; None outside of it."""
    return module.removeprefix(package + ".").partition(".")[0] if module.startswith(package + ".") else None


def upward(package: str, order: Sequence[str], imports: Imports) -> list[str]:
    """The imports inside ``package`` that run against its order, or that concern a member which it does not list."""
    bad = []
    for module, others in imports.items():
        own = member(module, package)
        for other in others if own else ():
            theirs = member(other, package)
            if theirs in (None, own):
                continue
            if own not in order or theirs not in order or order.index(theirs) > order.index(own):
                bad.append(f"{module} imports {other}")
    return sorted(bad)


def find_cycles(imports: Imports) -> list[list[str]]:
    """The groups of modules that import each other in a cycle: strongly connected components (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in imports[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            cycles.extend([sorted(group)] if len(group) > 1 else [])

    for module in imports:
        if module not in index:
            visit(module)
    return cycles


ORDERS = orders(PLAN.read_text())


@cache
def harness() -> Imports:
    """Those of the product, which are read when the first test needs them."""
    return read_imports("harness")


@pytest.mark.parametrize("package", ORDERS)
def test_imports_run_one_way(package: str) -> None:
    assert upward(package, ORDERS[package], harness()) == []


def test_the_plan_covers_the_rooms_that_have_rooms_inside() -> None:
    assert {"harness", "harness.cluster", "harness.load", "harness.analysis"} <= set(ORDERS)


def test_the_plan_names_what_is_there_and_nothing_else() -> None:
    for package, order in ORDERS.items():
        there = {name for module in harness() if (name := member(module, package))}
        assert set(order) == there, package


def test_no_module_imports_itself_indirectly() -> None:
    assert find_cycles(harness()) == []


def test_nothing_inside_imports_the_public_face() -> None:
    assert [module for module, others in harness().items() if "harness" in others] == []


def test_readers_import_nothing_that_runs() -> None:
    """Analysis can be repeated on an old run."""
    violations = {
        f"{module} imports {other}"
        for module, others in harness().items()
        for other in others
        if member(module, "harness") in READERS and member(other, "harness") in ACTORS
    }
    assert violations == set()


def test_the_harness_imports_only_the_shared_part_of_the_load() -> None:
    """The rest of ``load/`` runs in the load process, under gevent."""
    sides = {"harness.runner", "harness.cli", "harness.claims"}
    violations = {
        f"{module} imports {other}"
        for module, others in harness().items()
        for other in others
        if any(module.startswith(f"{side}.") for side in sides)
        and other.startswith("harness.load.")
        and not other.startswith((SHARED, "harness.load.sessions.manual"))  # a session without a load process
    }
    assert violations == set()


def test_the_shared_part_of_the_load_needs_neither_gevent_nor_locust() -> None:
    paths = (ROOT / "harness" / "load" / "control").glob("*.py")
    assert {name.partition(".")[0] for path in paths for name in imported(path)} & {"gevent", "locust"} == set()


def test_targets_import_nothing_of_the_harness() -> None:
    """A target is a service that also runs alone, in a container."""
    paths = (ROOT / "targets").rglob("*.py")
    assert {name.partition(".")[0] for path in paths for name in imported(path)} & {
        "harness",
        "tests",
        "scenarios",
    } == set()


def test_targets_import_one_way() -> None:
    imports = read_imports("targets")
    order = ("registry", "common", "http", "storage", "state", "sessions", "apps", "server", "__main__")
    assert upward("targets", order, imports) == []
    assert find_cycles(imports) == []


# The checks above are checked: a plan and modules made here, with every kind of import.


def test_the_plan_is_read_as_it_is_written() -> None:
    plan = "| room | |\n| --- | --- |\n| `a/` | first |\n| `b_c` | second |\n\nInside `harness/a/`: `x` `y/` then.\n"
    assert orders(plan) == {"harness": ["a", "b_c"], "harness.a": ["x", "y"]}


@pytest.mark.parametrize(
    "line",
    [
        "import harness.load.user",
        "from harness import load",
        "from harness.load.user import Client",
        "from ..load import user",
        "from .. import load",
        "def f():\n    from harness.load import user",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from harness.load import user",
    ],
)
def test_every_form_of_import_is_seen(line: str, tmp_path: Path) -> None:
    for name, text in {"charts/bad.py": line, "load/user.py": "", "load/__init__.py": "", "__init__.py": ""}.items():
        path = tmp_path / "harness" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    violations = upward("harness", ["charts", "load"], read_imports("harness", tmp_path))
    assert [bad.partition(" imports ")[0] for bad in violations] == ["harness.charts.bad"]
    assert upward("harness", ["load", "charts"], read_imports("harness", tmp_path)) == []


def test_a_member_that_the_plan_does_not_list_is_refused() -> None:
    imports = {"p.a.x": frozenset({"p.b"}), "p.b": frozenset[str]()}
    assert upward("p", ["a"], imports) == ["p.a.x imports p.b"]


def test_an_import_cycle_is_found() -> None:
    imports = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b"), "d": frozenset("a")}
    assert find_cycles(imports) == [["b", "c"]]
