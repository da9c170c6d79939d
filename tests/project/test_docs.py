"""The docs name every command and option, and every link in them leads somewhere."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from harness.cli.app import app
from harness.common.errors import EnvironmentLacksError, UntrustedError, UsageError
from harness.observations.requests import RECORD
from harness.results.summary import SCHEMA, ArmFigures, DesignSummary, FaultFigures, SessionFigures, Summary
from harness.scenario.loading import load

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "harness").glob("*.md"))
    if ".venv" not in path.parts
)
README = (ROOT / "README.md").read_text()
CLI = (ROOT / "docs" / "cli.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()


def commands(app: typer.Typer, prefix: str = "harness") -> Iterator[tuple[str, set[str]]]:
    """Every command with its long options, those inside a group too: ``harness baseline accept``."""
    command_line = typer.main.get_command(app)
    assert isinstance(command_line, TyperGroup)
    pending = [(f"{prefix} {name}", command) for name, command in command_line.commands.items()]
    for path, command in pending:
        if isinstance(command, TyperGroup):
            pending += [(f"{path} {name}", inner) for name, inner in command.commands.items()]
        yield path, {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


COMMANDS = dict(commands(app))
OPTIONS = [(command, option) for command, options in COMMANDS.items() for option in sorted(options)]


def names(text: str, word: str) -> bool:
    """Whether the text names a word, and not only a longer one that begins with it."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def sections(text: str) -> dict[str, str]:
    """The page's sections by their headings, whatever the level."""
    parts = re.split(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_are_commands_to_check() -> None:
    assert {"harness run", "harness report"} <= set(COMMANDS)
    assert len(OPTIONS) > 5


def test_the_readme_shows_every_command() -> None:
    assert [command for command in COMMANDS if not names(README, command)] == []


def test_the_page_of_the_command_line_names_every_option() -> None:
    page = sections(CLI)
    missing = [f"{command} {option}" for command, option in OPTIONS if not names(page[f"`{command}`"], option)]
    assert missing == []


def test_the_page_of_the_command_line_is_what_make_docs_writes() -> None:
    (line,) = re.findall(r"-m (typer .*) --output docs/cli\.md", (ROOT / "Makefile").read_text())
    argv = [sys.executable, "-m", *shlex.split(line)]
    generated = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert generated.strip() == CLI.strip(), "make docs"


@pytest.mark.parametrize("page", ["README.md", "docs/cli.md"])
def test_the_docs_name_no_option_that_is_not_there(page: str) -> None:
    text = sections(README)["The commands"] if page == "README.md" else CLI
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))
    own = {"--help", "--version", "--install-completion", "--show-completion"}
    assert shown - {option for _, option in OPTIONS} - own == set()


def test_the_readme_lists_every_exit_code() -> None:
    codes = sections(README)["Exit codes"]
    problems = (UsageError, UntrustedError, EnvironmentLacksError)
    assert [problem.code for problem in problems if f"| {problem.code} |" not in codes] == []


def test_every_column_of_requests_parquet_is_explained() -> None:
    assert [column for column in RECORD.names or () if f"| `{column}` |" not in RESULTS] == []


def test_every_key_of_the_summary_is_explained() -> None:
    nouns = (Summary, DesignSummary, ArmFigures, SessionFigures, FaultFigures)
    missing = [f"{noun.__name__}.{key.name}" for noun in nouns for key in fields(noun) if not names(RESULTS, key.name)]
    assert missing == []


def test_the_documented_schema_is_the_one_written() -> None:
    assert f'"schema": {SCHEMA}' in RESULTS


def links(path: Path) -> list[str]:
    """The page's relative links and pictures; code is not searched."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def anchors(path: Path) -> set[str]:
    """What a page's headings are called in a link."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in sections(path.read_text())}


def test_there_are_pages_with_links() -> None:
    assert sum(len(links(page)) for page in PAGES) > 3


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for link in links(page):
            target, _, anchor = link.partition("#")
            there = page.parent / target if target else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_every_make_target_that_is_named_exists() -> None:
    rules = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    named = {(page.name, target) for page in PAGES for target in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert {(page, target) for page, target in named if target not in targets} == set()


def scenario_blocks() -> list[tuple[str, str]]:
    """The Python blocks of all pages that define a scenario, each with its page."""
    blocks = [
        (page.name, block) for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    ]
    return [(page, block) for page, block in blocks if "SCENARIO = " in block]


def test_every_scenario_on_a_page_checks(tmp_path: Path) -> None:
    pages = set()
    for index, (page, block) in enumerate(scenario_blocks()):
        path = tmp_path / f"page_{index}.py"
        path.write_text(block)
        assert load(path).scenario.designs, page
        pages.add(page)
    assert {"README.md", "your-service.md"} <= pages
