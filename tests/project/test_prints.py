"""Everything that prints goes through the functions and consoles that make text of others safe for a terminal."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The modules that may write to a stream: they are what the others go through.
SAFE = {"harness/common/terminal.py", "harness/common/console.py"}
CALLS = {"print", "typer.echo", "typer.secho", "typer.confirm", "typer.prompt", "click.echo", "Console", "rich.print"}
WRITES = {"sys.stdout.write", "sys.stderr.write", "sys.stdout.writelines", "sys.stderr.writelines", "input"}
MODULES = {"rich.markup", "click"}


def find_unsafe(source: str) -> Iterator[str]:
    """What a module prints past the safe way: calls, also those that it hands on, and imports that lead there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in CALLS | WRITES:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield f"line {node.lineno}: from {node.module}"
        elif isinstance(node, ast.Import) and any(alias.name in MODULES for alias in node.names):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def test_nothing_prints_past_the_safe_way() -> None:
    found = {
        f"{path.relative_to(ROOT)}, {what}"
        for path in (ROOT / "harness").rglob("*.py")
        if str(path.relative_to(ROOT)) not in SAFE and "_bundled" not in path.parts
        for what in find_unsafe(path.read_text())
    }
    assert found == set(), "use show, note or write of harness.common.terminal, or SafeConsole"


def test_a_print_in_any_form_is_found() -> None:
    for source in ("print(x)", "log = print", "typer.echo(x)", "sys.stderr.write(x)", "from rich.markup import escape"):
        assert list(find_unsafe(source)), source
    assert not list(find_unsafe("out.print(x)\nshow(x)"))
