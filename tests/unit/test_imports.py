"""Imports follow the map: harness/ARCHITECTURE.md says who may import whom, and is read here, lest it drift."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "harness" / "ARCHITECTURE.md"
READERS = ("fold", "analysis", "charts", "report", "explain", "compare", "baseline")
ACTORS = ("topology", "load", "faults", "balancers", "stores", "supervisor", "bench", "experiment")


@dataclass(frozen=True)
class Row:
    """One row of the map: its layer, the parts that stand on it, and what they may import."""

    layer: int
    parts: tuple[str, ...]
    may: str

    def allows(self, other: "Row", part: str) -> bool:
        """Whether this row's modules may import ``part``, which stands on ``other``."""
        if other == self:
            return True
        if self.may == "all above":
            return other.layer < self.layer
        return any(_covers(item, other.layer, part) for item in re.split(r",\s*(?![^(]*\))", self.may))


def _covers(item: str, layer: int, part: str) -> bool:
    """Whether ``0``, ``0-4`` or ``6 (scenario)`` speaks of a part on a layer."""
    if item == "nothing of ours":
        return False
    read = re.fullmatch(r"(\d+)(?:-(\d+))?(?: \(([\w, ]+)\))?", item)
    assert read is not None, f"the map says {item!r}, which nobody understands"
    low, high, names = int(read[1]), int(read[2] or read[1]), read[3]
    return low <= layer <= high and (names is None or part in names.split(", "))


def rows(text: str) -> tuple[Row, ...]:
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if re.match(r"\| \d", line)
    ]
    return tuple(Row(int(layer), tuple(re.findall(r"`(\w+)/?`", modules)), may) for layer, modules, may in cells)


def row_of(part: str, table: tuple[Row, ...]) -> Row:
    found = [row for row in table if part in row.parts]
    assert len(found) == 1, f"{part} stands on {len(found)} rows of {MAP.name}, it must be exactly one"
    return found[0]


def module_name(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(relative.parts[:-1] if relative.name == "__init__" else relative.parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it: at the top, in a function, for type checking."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def part(name: str) -> str:
    """The part of the map that ``harness.load.user.Client`` belongs to: ``load``; empty for another package's."""
    top, _, rest = name.partition(".")
    return rest.partition(".")[0] if top == "harness" else ""


def modules() -> list[Path]:
    return sorted(path for path in (ROOT / "harness").rglob("*.py") if "_bundled" not in path.parts)


def inside() -> list[Path]:
    return [path for path in modules() if path != ROOT / "harness" / "__init__.py"]


def by_name(path: Path) -> str:
    return module_name(path)


TABLE = rows(MAP.read_text())


def broken(path: Path, table: tuple[Row, ...] = TABLE) -> list[str]:
    """What a module imports against the map."""
    own = part(module_name(path))
    row = row_of(own, table)
    others = {part(name) for name in imported(path)} - {"", own, "__version__"}
    return sorted(other for other in others if not row.allows(row_of(other, table), other))


@pytest.mark.parametrize("path", inside(), ids=by_name)
def test_a_module_imports_only_what_its_row_allows(path: Path) -> None:
    assert broken(path) == []


def test_the_map_names_nothing_that_is_not_there() -> None:
    """A row for a module that is gone would only mislead."""
    there = {part(module_name(path)) for path in inside()}
    assert {name for row in TABLE for name in row.parts} - there == set()


@pytest.mark.parametrize("path", [path for path in inside() if part(module_name(path)) in READERS], ids=by_name)
def test_readers_never_import_what_acts(path: Path) -> None:
    """Analysis can be repeated on an old run, where nothing runs."""
    assert {part(name) for name in imported(path)} & set(ACTORS) == set()


@pytest.mark.parametrize("path", sorted((ROOT / "targets").rglob("*.py")), ids=by_name)
def test_targets_import_nothing_of_the_harness(path: Path) -> None:
    """A target is a service that also runs alone, in a container."""
    assert [name for name in imported(path) if name.partition(".")[0] in ("harness", "tests", "scenarios")] == []


# The checks above are checked: a map and a module of our own, with every kind of import.


def test_the_map_is_read_as_it_is_written() -> None:
    text = """
| layer | modules | may import |
| --- | --- | --- |
| 2 | `oracle/` the judge | 0-1 |
| 9 | `a` `b_c` | 0, 6 (x, y), 7-8 |
"""
    assert rows(text) == (Row(2, ("oracle",), "0-1"), Row(9, ("a", "b_c"), "0, 6 (x, y), 7-8"))


@pytest.mark.parametrize(
    ("may", "layer", "name", "allowed"),
    [
        ("nothing of ours", 0, "z", False),
        ("0", 0, "z", True),
        ("0", 1, "z", False),
        ("0-4", 4, "z", True),
        ("0-4", 5, "z", False),
        ("0, 6 (x, y), 7-8", 6, "y", True),
        ("0, 6 (x, y), 7-8", 6, "z", False),
        ("0, 6 (x, y), 7-8", 8, "z", True),
        ("all above", 8, "z", True),
        ("all above", 9, "z", False),
        ("all above", 10, "z", False),
    ],
)
def test_a_row_allows_what_it_says(may: str, layer: int, name: str, allowed: bool) -> None:
    assert Row(9, ("own",), may).allows(Row(layer, (name,), "other"), name) is allowed


def test_modules_of_one_row_may_import_each_other() -> None:
    row = Row(4, ("verdicts", "expectations"), "0-3")
    assert row.allows(row, "verdicts")


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
def test_every_form_of_import_is_seen(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "harness" / "charts" / "bad.py"
    path.parent.mkdir(parents=True)
    path.write_text(line)
    monkeypatch.setattr("tests.unit.test_imports.ROOT", tmp_path)
    table = (Row(6, ("charts",), "0-5"), Row(9, ("load",), "all above"))
    assert broken(path, table) == ["load"]
