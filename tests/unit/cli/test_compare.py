"""`harness compare` and `harness baseline accept`, from the command line to the exit code."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from tests.support.compare import Session, changed, kept

SAME = Session(seed=2).side()
LOSSY = changed(SAME, "subject", 5, {"lost": 1}, "writes")


@pytest.fixture
def baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return kept(Session(seed=1).side(), tmp_path / "before")


CASES: Mapping[str, tuple[object, int]] = {
    "same": (SAME, 0),
    "improved": (Session(seed=2, drift=0.0, slower={"reference": 0.7, "subject": 0.5}).side(), 0),
    "slower": (Session(seed=2, slower={"subject": 1.25}).side(), 1),
    "lossy": (LOSSY, 1),
    "too_few_pairs": (Session(seed=2, pairs=5).side(), 3),
    "another_scenario": (replace(SAME, plan=replace(SAME.plan, sha256="0" * 64)), 3),
    "another_machine": (replace(SAME, plan=replace(SAME.plan, environment={"cpu": "other"})), 3),
}


@pytest.mark.parametrize("case", [case for case in CASES if case != "improved"])
def test_the_exit_code_is_that_of_the_contract(
    case: str, baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side, code = CASES[case]
    run = kept(side, tmp_path / "now")  # type: ignore[arg-type]  # the table's first column
    assert main(["compare", str(run), str(baseline)]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_improvement_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = kept(Session(seed=1, drift=0.0).side(), tmp_path / "before")
    run = kept(Session(seed=2, drift=0.0, slower={"subject": 0.7}).side(), tmp_path / "now")
    assert main(["compare", str(run), str(before)]) == 0
    assert capsys.readouterr().out.startswith("improved: ")


def test_the_requested_files_are_written(baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = kept(LOSSY, tmp_path / "now")
    markdown, junit = tmp_path / "out" / "c.md", tmp_path / "out" / "c.xml"
    assert main(["compare", str(run), str(baseline), "--markdown", str(markdown), "--junit", str(junit)]) == 1
    assert "acknowledged writes lost" in markdown.read_text()
    assert ET.parse(junit).getroot().tag == "testsuites"  # noqa: S314 - a file that this test wrote
    assert (run / "charts" / "compare.svg").exists() and (run / "charts" / "compare.png").exists()
    out = capsys.readouterr()
    assert "1 acknowledged writes lost, 0 in the baseline" in out.out
    assert "::error" not in out.err


def test_in_github_actions_a_regression_is_annotated(
    baseline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    main(["compare", str(kept(LOSSY, tmp_path / "now")), str(baseline)])
    assert "::error title=harness compare: regression::subject" in capsys.readouterr().err


def test_json_is_the_whole_comparison_and_nothing_else(
    baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(kept(LOSSY, tmp_path / "now")), str(baseline), "--json"]) == 1
    comparison = json.loads(capsys.readouterr().out)
    assert comparison["outcome"] == "regression"
    assert len(comparison["metrics"]) == 10
    for metric in comparison["metrics"]:
        assert metric["interval"][0] <= metric["ratio"] <= metric["interval"][1]


def test_the_margin_is_per_cent(baseline: Path, tmp_path: Path) -> None:
    slow = str(kept(Session(seed=2, slower={"subject": 1.25}).side(), tmp_path / "now"))
    assert main(["compare", slow, str(baseline), "--margin", "50"]) == 0
    assert main(["compare", slow, str(baseline), "--margin", "50%"]) == 0
    assert main(["compare", slow, str(baseline), "--margin", "10"]) == 1


@pytest.mark.parametrize("margin", ["0", "-5", "100", "much", "nan"])
def test_an_invalid_margin_is_a_usage_error(margin: str, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(baseline), str(baseline), f"--margin={margin}"]) == 2
    assert f"'{margin}' is not between 0 and 100 per cent" in capsys.readouterr().err


def test_another_machine_can_be_declared(baseline: Path, tmp_path: Path) -> None:
    environment = {**SAME.plan.environment, "cpu": "other"}
    run = str(kept(replace(SAME, plan=replace(SAME.plan, environment=environment)), tmp_path / "now"))
    assert main(["compare", run, str(baseline)]) == 3
    assert main(["compare", run, str(baseline), "--allow-environment"]) == 0


def test_without_a_baseline_a_run_is_not_comparable_and_the_comment_says_so(
    tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    markdown = tmp_path / "c.md"
    assert main(["compare", str(baseline), str(tmp_path / "none"), "--markdown", str(markdown)]) == 3
    assert "not comparable" in capsys.readouterr().out
    assert "not comparable" in markdown.read_text()


def test_no_run_is_a_usage_error(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path / "none"), str(baseline)]) == 2
    assert "hint:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["summary.json", "verdicts.json"])
@pytest.mark.parametrize("text", ["", "[1]", '{"schema": 1}'])
def test_an_incomplete_run_is_one_line_and_a_hint(
    name: str, text: str, tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept(SAME, tmp_path / "now")
    (run / name).write_text(text)
    assert main(["compare", str(run), str(baseline)]) == 2
    err = capsys.readouterr().err
    assert name in err and "hint:" in err and "Traceback" not in err


def test_a_file_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept(SAME, tmp_path / "now")
    for option in ("--markdown", "--junit"):
        assert main(["compare", str(run), str(baseline), option, "/proc/nowhere/c"]) == 2
        assert "cannot write" in capsys.readouterr().err


def test_accept_prints_where_the_baseline_is_kept(
    baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "baselines"
    assert main(["baseline", "accept", str(baseline), "--reason", "first", "--baselines", str(into)]) == 0
    assert str(into / "made_up") in capsys.readouterr().out
    assert main(["compare", str(kept(SAME, tmp_path / "now")), str(into / "made_up")]) == 0


def test_accept_without_a_reason_is_a_usage_error(
    baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accept = ["baseline", "accept", str(baseline), "--baselines", str(tmp_path / "baselines")]
    assert main([*accept, "--reason", " "]) == 2
    assert main(accept) == 2
    assert not (tmp_path / "baselines").exists()
    assert "hint:" in capsys.readouterr().err


def test_accept_refuses_a_run_that_did_not_pass_unless_forced(tmp_path: Path) -> None:
    failed = kept(replace(SAME, summary=replace(SAME.summary, verdict="fail")), tmp_path / "now")
    accept = ["baseline", "accept", str(failed), "--reason", "why", "--baselines", str(tmp_path / "baselines")]
    assert main(accept) == 2
    assert main([*accept, "--force"]) == 0
