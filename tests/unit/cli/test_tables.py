"""The end of a run in a terminal: it fits 80 columns, and 24 lines show all that counts."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.run_analysis import Analysis
from harness.cli import tables
from harness.common.console import SafeConsole
from harness.results.run import Run
from harness.results.summary import Summary
from harness.results.verdicts import Result, Verdict
from harness.runner.reporting import RunOutcome
from tests.support import charts as fakes
from tests.support.recorded_run import plan

LOST = {"stateless": 0, "sticky": 67, "hybrid": 0, "broken": 200, "split_keys": 0}
FIVE = [fakes.Fake(name, lost) for name, lost in LOST.items()]


def strained(run: Summary) -> Summary:
    """The same run with a saturated driver in every arm."""
    designs = {}
    for name, design in run.designs.items():
        arms = {kind: replace(arm, driver=replace(arm.driver, saturated=True)) for kind, arm in design.arms.items()}
        designs[name] = replace(design, arms=arms)
    return replace(run, designs=designs)


def printed(monkeypatch: pytest.MonkeyPatch, summary: Summary, verdicts: tuple[Verdict, ...], width: int) -> list[str]:
    console = SafeConsole(width=width, record=True)
    monkeypatch.setattr(tables, "open_console", lambda: console)
    run = Run(Path("results/node_kill/20250101T000000Z-abcdef"), plan())
    tables.print_outcome(RunOutcome(run, Analysis(summary, verdicts, ()), ()), as_json=False)
    return console.export_text().splitlines()


CHECKS = tuple(
    Verdict(check, result, f"{arm} arm: a reason of some length that fills a line of the terminal", fake.name)
    for fake in FIVE
    for check, result in (("keeps", Result.PASS), ("driver_kept_up", Result.UNKNOWN))
    for arm in ("fault", "control")
)


def test_the_last_screen_of_24_lines_has_the_table_its_notes_the_verdict_and_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = printed(monkeypatch, strained(fakes.summary(FIVE)), CHECKS, 80)
    assert max(map(len, lines)) <= 80
    screen = lines[-23:]  # the prompt takes a line
    head = next(index for index, line in enumerate(screen) if line.lstrip().startswith("design"))
    assert all(title in screen[head] for title in ("lost/judged", "errors", "req/s", "p50 ms", "p99 ms", "verdict"))
    assert [line.split()[0] for line in screen[head + 2 : head + 7]] == [fake.name for fake in FIVE]
    assert screen[-2].startswith("pass: of 20 checks")
    assert screen[-1].startswith("report: ") and screen[-1].endswith("report.html")


def test_doubts_about_times_are_one_line_per_check(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(printed(monkeypatch, strained(fakes.summary(FIVE)), CHECKS, 200))
    assert text.count("driver_kept_up") == 1
    assert "saturated in 10 of 10 arms" in text


def test_a_wide_terminal_shows_more_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = ("\n".join(printed(monkeypatch, fakes.summary(), (), width)) for width in (80, 120))
    assert "recover s" not in narrow
    assert "recover s" in wide and "p99 ctrl" in wide


def test_a_run_of_one_design_has_its_requests_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (Verdict("p99 < 200ms", Result.PASS, "p99 is 48 ms", "stateless"),)
    one, many = ("\n".join(printed(monkeypatch, fakes.summary(some), checks, 80)) for some in (FIVE[:1], FIVE))
    assert "stateless, with the fault" in one and "stateless, without the fault" in one
    assert "all requests" in one and "all requests" not in many
    assert "pass: stateless: p99 < 200ms: p99 is 48 ms" in one
    assert "pass: stateless: p99 < 200ms\n" in many
