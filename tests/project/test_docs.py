"""The docs name every command and option, and every link in them leads somewhere."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from harness.cli import build_parser
from harness.common.errors import EnvironmentLacksError, UntrustedError, UsageError
from harness.observations.requests import RECORD
from harness.results.summary import SCHEMA, ArmFigures, DesignSummary, FaultFigures, SessionFigures, Summary

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "harness").glob("*.md"))
    if ".venv" not in path.parts
)
README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser's subcommands by name."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # argparse keeps no public list of its actions
        if isinstance(action, argparse._SubParsersAction):  # nor a public name of this one
            found.update(action.choices)
    return found


def commands(parser: argparse.ArgumentParser, prefix: str = "harness") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its parser, subcommands of subcommands too: ``harness baseline accept``."""
    for name, inner in subcommands(parser).items():
        yield f"{prefix} {name}", inner
        yield from commands(inner, f"{prefix} {name}")


COMMANDS = dict(commands(build_parser()))
OPTIONS = [
    (command, option)
    for command, parser in COMMANDS.items()
    for action in parser._actions  # as above
    for option in action.option_strings
    if option.startswith("--") and option != "--help"
]


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


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_shows_every_command(command: str) -> None:
    assert names(README, command)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[" ".join(pair) for pair in OPTIONS])
def test_the_readme_names_every_option(command: str, option: str) -> None:
    assert names(sections(README)["The commands"], option), f"{option} of {command} is not there"


def test_the_docs_name_no_option_that_is_not_there() -> None:
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", sections(README)["The commands"]))
    assert shown - {option for _, option in OPTIONS} - {"--help"} == set()


@pytest.mark.parametrize("problem", [UsageError, UntrustedError, EnvironmentLacksError])
def test_the_readme_tells_every_exit_code(problem: type[UsageError]) -> None:
    assert f"| {problem.code} |" in sections(README)["Exit codes"]


@pytest.mark.parametrize("column", RECORD.names or ())
def test_every_column_of_requests_parquet_is_explained(column: str) -> None:
    assert f"| `{column}` |" in RESULTS


@pytest.mark.parametrize(
    "noun", [Summary, DesignSummary, ArmFigures, SessionFigures, FaultFigures], ids=lambda noun: noun.__name__
)
def test_every_key_of_the_summary_is_explained(noun: type[Summary]) -> None:
    missing = [key.name for key in fields(noun) if not names(RESULTS, key.name)]
    assert missing == []


def test_the_schema_told_is_the_one_written() -> None:
    assert f'"schema": {SCHEMA}' in RESULTS


def links(path: Path) -> list[str]:
    """The page's relative links and pictures; code is not searched."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(path: Path) -> set[str]:
    """What a page's headings are called in a link."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in sections(path.read_text())}


def test_there_are_pages_with_links() -> None:
    assert sum(len(links(page)) for page in PAGES) > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        there = page.parent / target if target else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    rules = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) - targets == set()
