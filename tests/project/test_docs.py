"""The docs name every command, option and part, and every link in them leads somewhere."""

import inspect
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

import harness
from harness import faults
from harness.cli.app import app
from harness.cluster.balancers import SPECS
from harness.common.errors import EnvironmentLacksError, UntrustedError, UsageError
from harness.observations.requests import RECORD
from harness.report.html.run_page import SECTIONS
from harness.results.summary import SCHEMA, ArmFigures, DesignSummary, FaultFigures, SessionFigures, Summary
from harness.scenario import expectations
from harness.scenario.expectations.implied import Premises, imply
from harness.scenario.loading import load
from targets.registry import APPS, STATES

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


# What comes with the harness is described; CONTRIBUTING.md says where.


def documented(page: str) -> str:
    return (ROOT / page).read_text()


def test_every_app_and_state_is_in_the_tables_of_the_targets() -> None:
    page = documented("targets/README.md")
    assert [name for name in (*APPS, *STATES) if f"| `{name}` |" not in page] == []


def test_the_page_of_the_states_says_what_each_place_survives() -> None:
    page, not_places = documented("docs/states.md"), {"none", "faulty"}
    assert [name for name in STATES if name not in not_places and f"| `{name}` |" not in page] == []


def test_every_balancer_is_named_by_the_option_and_has_a_column_in_its_page() -> None:
    option = "* `--balancer NAME`: " + ", ".join(SPECS).replace(f", {[*SPECS][-1]}", f" or {[*SPECS][-1]}")
    assert option in CLI
    page = documented("docs/balancers.md").lower()
    assert [name for name in SPECS if not re.search(rf"^\|.*\| {name} \|", page, re.MULTILINE)] == []


def test_every_fault_is_described_and_can_be_imported_by_a_scenario() -> None:
    page = documented("docs/faults.md")
    assert [name for name in faults.__all__ if not names(page, name)] == []
    assert set(faults.__all__) - set(harness.__all__) == set()


def test_every_expectation_is_described_and_can_be_imported_by_a_scenario() -> None:
    page = documented("docs/scenarios.md")
    given = [
        name
        for name, function in vars(expectations).items()
        if inspect.isfunction(function) and inspect.signature(function).return_annotation is expectations.Expect
    ]
    assert {"keeps", "clean_control", "p99_below"} <= set(given)
    assert [name for name in given if f"`{name}(" not in page] == []
    assert set(given) - set(harness.__all__) == set()


def test_every_implied_expectation_is_described() -> None:
    page = sections(documented("docs/scenarios.md"))["What is expected without a word"]
    implied = {
        expectation.name
        for at_risk in (None, "victim")
        for expectation in imply(Premises("d", at_risk, True, True, 0.01), ())
    }
    assert [name for name in implied if f"| `{name}` |" not in page] == []
    assert len(implied) == 4


def test_every_chart_of_a_run_is_under_a_question_of_the_page_about_reading() -> None:
    page = documented("docs/reading.md")
    for section in SECTIONS:
        heading = f"## {section.question} " + " and ".join(f"`{chart}`" for chart in section.charts)
        assert heading in page
