"""One-token mutants of modules, with the operators of Cosmic Ray, and the list of those judged equivalent.

A mutant changes one token: a comparison, an arithmetic or logical operator, a number, a truth value, ``not``,
``break``, or one of a few builtin names. Type annotations are left alone, because nothing reads them, and so is
``strict=``, which only adds a check. ``&`` does not become ``*``, nor ``|`` become ``+``: of masks these are the same.
Nor does ``is`` become ``==``, the same of members of an enumeration.
"""

import ast
import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators import (
    binary_operator_replacement,
    boolean_replacer,
    break_continue,
    comparison_operator_replacement,
    number_replacer,
    operator,
    unary_operator_replacement,
)

ROOT = Path(__file__).resolve().parents[1]
#: The mutants that change nothing which a caller could see, each with its reason.
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.toml"
Span = tuple[int, int]  # line (from 1) and column (from 0)


@dataclass(frozen=True)
class Mutant:
    """A changed module. ``function`` is the qualified name of the innermost function or class around the change."""

    path: str  # relative to the root of the project
    line: int
    function: str
    was: str  # the line, without its indentation
    becomes: str
    source: str  # of the whole changed module

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies it however the lines of the module move."""
        return self.path, self.function, self.was, self.becomes

    def __str__(self) -> str:
        return f"{self.path}:{self.line} in {self.function}\n  - {self.was}\n  + {self.becomes}"


@dataclass(frozen=True)
class Position:
    """A token that can be changed, in one of several ways: an operator and which of its occurrences to change."""

    path: str
    start: Span
    choices: tuple[tuple[type[Any], int], ...]


class _SwapWords(operator.Operator):  # type: ignore[misc]  # Cosmic Ray ships no types
    """Swap tokens that Cosmic Ray does not know: builtins that are each other's opposite, and the like."""

    words: ClassVar[dict[str, str]] = {
        "min": "max", "max": "min", "any": "all", "all": "any", "+=": "-=", "-=": "+=", "in": "not in"
    }  # fmt: skip

    def mutation_positions(self, node: Any) -> Iterator[tuple[Span, Span]]:
        """The tokens to swap; the ``in`` of a ``for`` is none of them."""
        if getattr(node, "value", None) in self.words and getattr(node.parent, "type", "") not in _LOOPS:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Put the other word in its place."""
        node.value = self.words[node.value]
        return node

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """None: the tests of this project hold them."""
        return ()


#: A keyword before a value that only adds a check of the programmer's own, which never fails.
_CHECKS = ("strict=",)
_LOOPS = ("for_stmt", "sync_comp_for", "comp_for", "keyword")
_SAME_OF_MASKS = ("ReplaceBinaryOperator_BitAnd_Mul", "ReplaceBinaryOperator_BitOr_Add")
_SAME_OF_MEMBERS = ("ReplaceComparisonOperator_Is_Eq", "ReplaceComparisonOperator_IsNot_NotEq")
_OPERATORS: tuple[type[Any], ...] = (
    *(kind for kind in binary_operator_replacement.operators() if kind.__name__ not in _SAME_OF_MASKS),
    *(kind for kind in comparison_operator_replacement.operators() if kind.__name__ not in _SAME_OF_MEMBERS),
    *unary_operator_replacement.operators(),
    boolean_replacer.ReplaceTrueWithFalse,
    boolean_replacer.ReplaceFalseWithTrue,
    boolean_replacer.ReplaceAndWithOr,
    boolean_replacer.ReplaceOrWithAnd,
    boolean_replacer.AddNot,
    break_continue.ReplaceBreakWithContinue,
    break_continue.ReplaceContinueWithBreak,
    number_replacer.NumberReplacer,
    _SwapWords,
)
#: Nodes of other types are no operator's.
_MUTABLE = (
    "operator",
    "keyword",
    "number",
    "name",
    "comparison",
    "if_stmt",
    "while_stmt",
    "test",
    "factor",
    "not_test",
)


def list_positions(paths: Sequence[str]) -> tuple[Position, ...]:
    """Every token of these modules that can be changed, in their order. Paths are relative to the project's root."""
    return tuple(position for path in paths for position in _list_positions_of(path))


def _list_positions_of(path: str) -> Iterator[Position]:
    source = (ROOT / path).read_text()
    nodes = [node for node in ast_nodes(get_ast(source)) if node.type in _MUTABLE]
    choices: dict[Span, list[tuple[type[Any], int]]] = {}
    for kind in _OPERATORS:
        find = kind().mutation_positions
        for occurrence, (start, _) in enumerate(span for node in nodes for span in find(node)):
            choices.setdefault(start, []).append((kind, occurrence))
    annotations = _list_annotations(source)
    lines = source.splitlines()
    for start in sorted(choices):
        checked = lines[start[0] - 1][: start[1]].endswith(_CHECKS)
        if not checked and not any(first <= start < last for first, last in annotations):
            yield Position(path, start, tuple(choices[start]))


def _list_annotations(source: str) -> list[tuple[Span, Span]]:
    """Where the module has type annotations."""
    nodes: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                nodes.append(annotation)
            case ast.FunctionDef(returns=returns) | ast.AsyncFunctionDef(returns=returns):
                nodes.append(returns)
            case _:
                pass
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)) for node in nodes if node
    ]


def draw_mutants(positions: Sequence[Position], count: int, seed: int) -> Iterator[Mutant]:
    """Up to ``count`` mutants at different tokens, always the same ones for a seed."""
    chance = random.Random(seed)
    drawn = 0
    for position in chance.sample(positions, len(positions)):
        kind, occurrence = chance.choice(position.choices)
        mutant = _mutate(position, kind, occurrence)
        if mutant is not None:
            yield mutant
            drawn += 1
        if drawn == count:
            return


def _mutate(position: Position, kind: type[Any], occurrence: int) -> Mutant | None:
    """The mutant, or None where the changed text is no program or no other one."""
    before = (ROOT / position.path).read_text()
    after = mutate_code(before, kind(), occurrence)
    if after is None or not _differs(before, after):
        return None
    line = position.start[0]
    was, becomes = before.splitlines()[line - 1].strip(), after.splitlines()[line - 1].strip()
    return Mutant(position.path, line, _name_function(before, line), was, becomes, after)


def _differs(before: str, after: str) -> bool:
    try:
        return ast.dump(ast.parse(after)) != ast.dump(ast.parse(before))
    except SyntaxError:
        return False


@cache
def _list_functions(source: str) -> tuple[tuple[int, int, str], ...]:
    """First line, last line and qualified name of every function and class, outer ones first."""
    found = []

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}.{child.name}" if prefix else child.name
                found.append((child.lineno, child.end_lineno or child.lineno, name))
            visit(child, name)

    visit(ast.parse(source), "")
    return tuple(found)


def _name_function(source: str, line: int) -> str:
    around = [name for first, last, name in _list_functions(source) if first <= line <= last]
    return around[-1] if around else "the module"


@dataclass(frozen=True)
class EquivalentMutant:
    """A mutant that no test can notice. It is matched by its text, so that lines may move."""

    path: str
    function: str
    was: str
    becomes: str
    reason: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of the mutant that it stands for."""
        return self.path, self.function, self.was, self.becomes

    @property
    def exists(self) -> bool:
        """Whether its function still has that line."""
        source = (ROOT / self.path).read_text() if (ROOT / self.path).is_file() else ""
        lines = enumerate(source.splitlines(), 1)
        return any(text.strip() == self.was and _name_function(source, line) == self.function for line, text in lines)


def read_equivalent_mutants() -> tuple[EquivalentMutant, ...]:
    """The committed list."""
    return tuple(EquivalentMutant(**mutant) for mutant in tomllib.loads(EQUIVALENT.read_text()).get("mutant", ()))
