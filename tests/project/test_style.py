"""The style of the code, measured: names, the lengths of functions, and how much a function decides."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("style")  # tests share what is parsed
ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("harness", "targets")
EVERYTHING = (*PRODUCT, "scenarios", "benchmarks", "examples", "tests", "tools")
MAX_LINES = 40
#: Functions that may be longer, and why.
LONG: dict[str, str] = {
    "harness/cli/run.py:run": "its signature is the table of the command's options",
    "harness/cli/scale.py:scale": "its signature is the table of the command's options",
}
MAX_COMPLEXITY = 10
MAX_COMPLEX_FUNCTIONS = 14
MAX_TINY_PRIVATES = 49
TINY_LINES = 3
#: Words that once stood for a term of the field; an identifier that contains one is refused.
OLD_IDIOM = frozenset(
    [
        "told",
        "tell",
        "tells",
        "untold",
        "crowd",
        "venue",
        "courier",
        "lane",
        "lanes",
        "deed",
        "deeds",
        "tock",
        "enlisted",
        "recruit",
        "foreman",
        "seated",
        "unseat",
        "befall",
        "mend",
        "whoever",
        "dock",
        "docked",
        "wish",
        "heard",
        "conduct",
        "conducted",
        "shredded",
        "testimony",
        "bearing",
    ]
)


@dataclass(frozen=True)
class Function:
    """A function of the product, with what is measured of it."""

    path: Path
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.node.name}"

    @property
    def lines(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def body_lines(self) -> int:
        """Its lines without the signature and the docstring."""
        body = self.node.body
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            body = body[1:]
        return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def trees(homes: tuple[str, ...]) -> Iterator[tuple[Path, ast.Module]]:
    for home in homes:
        for path in sorted((ROOT / home).rglob("*.py")):
            if "_bundled" not in path.parts:
                yield path, parse(path)


def functions(homes: tuple[str, ...] = PRODUCT) -> list[Function]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [Function(path, node) for path, tree in trees(homes) for node in ast.walk(tree) if isinstance(node, kinds)]


def identifiers(tree: ast.Module) -> set[str]:
    """Every name that a module gives: classes, functions, parameters, variables, attributes it sets."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case _:
                pass
    return names


def words(identifier: str) -> set[str]:
    """The words of ``camelCase``, ``snake_case`` and ``CAPITALS``, in small letters."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier)
    return set(parted.lower().split("_"))


def uses(tree: ast.Module) -> Counter[str]:
    """How often a module uses each name, on its own or as an attribute."""
    return Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )


def test_no_identifier_has_a_word_of_the_old_idiom() -> None:
    offenders = {
        str(path.relative_to(ROOT)): old
        for path, tree in trees(EVERYTHING)
        if path != Path(__file__).resolve() and (old := {name for name in identifiers(tree) if words(name) & OLD_IDIOM})
    }
    assert offenders == {}


def test_a_class_name_means_one_thing() -> None:
    homes = defaultdict(list)
    for path, tree in trees(PRODUCT):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_function_is_too_long() -> None:
    long = {function.where: function.lines for function in functions() if function.lines > MAX_LINES}
    assert {where: lines for where, lines in long.items() if where not in LONG} == {}
    assert set(LONG) - set(long) == set(), "an exception that is no longer needed"


def test_few_functions_decide_much() -> None:
    """Ruff counts the paths through a function (McCabe, 1976)."""
    argv = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--output-format", "json", "--exit-zero"]
    argv += ["--config", f"lint.mccabe.max-complexity={MAX_COMPLEXITY}", "--ignore-noqa", "--isolated", *PRODUCT]
    report = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    complex_functions = [f"{Path(row['filename']).name}: {row['message']}" for row in json.loads(report)]
    assert len(complex_functions) <= MAX_COMPLEX_FUNCTIONS, complex_functions


def test_few_tiny_private_functions_are_called_once() -> None:
    """A name for three lines that one caller needs is one more place to look; some of them name an idea."""
    used = {path: uses(tree) for path, tree in trees(PRODUCT)}
    tiny = [
        function.where
        for function in functions()
        if re.match(r"_[^_]", function.node.name)
        and function.body_lines <= TINY_LINES
        and used[function.path][function.node.name] == 1
    ]
    assert len(tiny) <= MAX_TINY_PRIVATES, tiny


def test_an_identifier_is_taken_apart_by_its_words() -> None:
    assert words("HeardOut") == {"heard", "out"}
    assert words("_told_once") == {"", "told", "once"}
    assert not words("folder") & {"old"}
    tree = ast.parse("class A:\n    def f(self, b):\n        self.c = d = b\n")
    assert identifiers(tree) == {"A", "f", "self", "b", "c", "d"}


def test_a_functions_lines_are_counted_with_and_without_its_docstring() -> None:
    source = 'def f():\n    """Docs.\n\n    More.\n    """\n    return 1\n'
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    function = Function(ROOT / "f.py", node)
    assert (function.lines, function.body_lines) == (6, 1)
