"""Claims: pure functions of runs with three results."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness import claims
from harness.claims import (
    ClaimFinding,
    ClaimPoint,
    ClaimVerdict,
    RequiredRun,
    Runs,
    decision_page,
)
from harness.claims.attempt import attempt, list_required_runs
from harness.claims.report import ClaimResult, read_results, write
from harness.common.errors import UsageError
from harness.results.summary import Summary
from tests.support import charts as fakes

SUMMARY = fakes.summary()
assert SUMMARY.controls.calibration is not None
JUDGED = replace(SUMMARY.controls.calibration, sessions=7, correct=7)
RUN = replace(SUMMARY, controls=replace(SUMMARY.controls, calibration=JUDGED))
C05, C06 = claims.select(["C05", "C06"])


def node_kill(run: Summary = RUN) -> Runs:
    return Runs({"node_kill": run})


def with_sessions(run: Summary, design: str, **changes: int) -> Summary:
    summary = run.designs[design]
    arm = summary.arms["fault"]
    spoilt = replace(arm, sessions=replace(arm.sessions, **changes))  # type: ignore[arg-type]  # counts alone change here
    arms = {**summary.arms, "fault": spoilt}
    return replace(run, designs={**run.designs, design: replace(summary, arms=arms)})


def test_a_result_as_predicted_supports_the_claim_with_its_interval() -> None:
    finding = C06.evaluate(node_kill(with_sessions(RUN, "sticky", lost_not_at_risk=0, at_risk_not_lost=0)))
    assert finding.verdict is ClaimVerdict.SUPPORTED
    [point] = finding.points
    assert (point.value, point.predicted) == (33.5, 33.5)
    assert point.interval is not None
    assert point.interval[0] < 33.5 < point.interval[1]


def test_another_result_is_refuted() -> None:
    finding = C06.evaluate(node_kill(with_sessions(RUN, "sticky", lost_not_at_risk=3, at_risk_not_lost=0)))
    assert finding.verdict is ClaimVerdict.REFUTED
    assert "3 others were lost" in finding.says


def test_a_run_that_is_not_there_leaves_it_unknown_with_why() -> None:
    finding = C06.evaluate(Runs(missing={"node_kill": "exit code 4: no haproxy"}))
    assert (finding.verdict, finding.points) == (ClaimVerdict.UNKNOWN, ())
    assert "no haproxy" in finding.says


def test_an_oracle_that_missed_a_bug_settles_nothing() -> None:
    blind = replace(RUN, controls=replace(RUN.controls, calibration=replace(JUDGED, correct=6)))
    assert C05.evaluate(node_kill(blind)).verdict is ClaimVerdict.UNKNOWN


def test_a_figure_that_was_not_measured_leaves_it_unknown() -> None:
    assert C06.evaluate(node_kill(replace(RUN, designs={}))).verdict is ClaimVerdict.UNKNOWN
    assert (
        ClaimFinding.supported_if(True, "so it is", "%", [ClaimPoint("x", float("nan"))]).verdict
        is ClaimVerdict.UNKNOWN
    )


def test_a_share_has_its_exact_interval() -> None:
    assert ClaimPoint.share("x", 0, 100).interval == pytest.approx((0, 3.622), abs=0.001)
    assert ClaimPoint.share("x", 50, 100).interval == pytest.approx((39.832, 60.168), abs=0.001)


def test_every_claim_is_of_the_table_and_says_what_it_rests_on() -> None:
    ids = [claim.id for claim in claims.CLAIMS]
    assert len(set(ids)) == len(ids)
    for claim in claims.CLAIMS:
        assert re.fullmatch(r"C\d\d", claim.id)
        assert claim.required_runs
        for required in claim.required_runs:
            assert (Path("scenarios") / f"{required.name}.py").is_file()


def test_runs_are_shared() -> None:
    assert [required.name for required in list_required_runs([C05, C06])] == ["node_kill", "pet", "checkpoint"]


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(UsageError, match="no claim C99"):
        claims.select(["C99"])


@pytest.mark.slow
def test_a_run_that_breaks_is_reported_and_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = replace(C05, required_runs=(RequiredRun("broken", ("run", "no/such/file.py")),), counter=None)
    slow = replace(C06, required_runs=(RequiredRun("slow", ("list", "states"), timeout_s=0.01),), counter=None)
    lines: list[str] = []
    runs = attempt(list_required_runs([broken, slow]), tmp_path, lines.append)
    assert "exit code 2" in runs.missing["broken"]
    assert "no scenario file no/such/file.py" in runs.missing["broken"]
    assert "more than its 0.01 s" in runs.missing["slow"]
    assert len([line for line in lines if line.startswith("[")]) == 2


def test_the_page_and_the_figures_are_read_back(tmp_path: Path) -> None:
    results = {
        "C05": ClaimResult.from_runs(C05, node_kill()),
        "C06": ClaimResult.from_runs(C06, Runs()),
    }
    write(claims.CLAIMS, results, tmp_path)
    assert read_results(tmp_path) == results
    page = (tmp_path / "claims.md").read_text()
    assert "| [C05](#c05) |" in page
    assert "![C05: " in page
    assert (tmp_path / "claims" / "C05.svg").is_file()
    assert not (tmp_path / "claims" / "C06.svg").exists()
    assert "| C01 |" in page
    assert "not attempted" in page


def test_unreadable_results_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text('{"C05": {}}')
    assert read_results(tmp_path) == {}


def test_without_a_run_the_decision_says_so(tmp_path: Path) -> None:
    assert "Nothing was measured: places was not measured" in decision_page.write(Runs(), tmp_path).read_text()
