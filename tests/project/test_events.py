"""docs/results.md lists exactly the events that the code records, and the code records no other kind."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from harness.observations.events import EventKind

ROOT = Path(__file__).resolve().parents[2]


def test_the_docs_list_every_kind_of_event_and_no_other() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    section = page.split("**events.jsonl**")[1].split("\n**")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [kind.value for kind in EventKind]


def constructed_kinds() -> Iterator[tuple[str, str]]:
    """Where ``Event(t, kind, ...)`` is called in the harness, and the source of its second argument."""
    for path in sorted((ROOT / "harness").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Event" and len(node.args) > 1:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", ast.unparse(node.args[1])


def test_no_event_is_constructed_with_a_literal_kind() -> None:
    kinds = list(constructed_kinds())
    assert len(kinds) >= 7
    assert [(place, kind) for place, kind in kinds if not (kind == "kind" or kind.startswith("EventKind."))] == []


def test_every_kind_is_recorded_somewhere() -> None:
    source = "".join(path.read_text() for path in (ROOT / "harness").rglob("*.py") if path.name != "events.py")
    assert [kind.name for kind in EventKind if f"EventKind.{kind.name}" not in source] == []
