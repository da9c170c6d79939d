"""Claims: pure functions of runs, with three honest ends."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness import claims
from harness.claims import ClaimFinding, ClaimPoint, ClaimResult, ClaimVerdict, RequiredRun, Runs, attempt, needs
from harness.common.errors import UsageError
from harness.results.summary import Summary
from tests.support import charts as fakes

DRAWN = fakes.summary()
assert DRAWN.controls.calibration is not None
JUDGED = replace(DRAWN.controls.calibration, sessions=7, correct=7)
RUN = replace(DRAWN, controls=replace(DRAWN.controls, calibration=JUDGED))
C05, C06 = claims.chosen(["C05", "C06"])


def node_kill(run: Summary = RUN) -> Runs:
    return Runs({"node_kill": run})


def with_sessions(run: Summary, design: str, **changes: int) -> Summary:
    one = run.designs[design]
    arm = one.arms["fault"]
    spoilt = replace(arm, sessions=replace(arm.sessions, **changes))  # type: ignore[arg-type]  # counts alone change here
    arms = {**one.arms, "fault": spoilt}
    return replace(run, designs={**run.designs, design: replace(one, arms=arms)})


def test_what_was_predicted_is_supported_with_its_interval() -> None:
    found = C06.found(node_kill(with_sessions(RUN, "sticky", lost_not_at_risk=0, at_risk_not_lost=0)))
    assert found.support is ClaimVerdict.SUPPORTED
    [point] = found.points
    assert (point.value, point.predicted) == (33.5, 33.5)
    assert point.interval is not None
    assert point.interval[0] < 33.5 < point.interval[1]


def test_what_came_out_otherwise_is_refuted() -> None:
    found = C06.found(node_kill(with_sessions(RUN, "sticky", lost_not_at_risk=3, at_risk_not_lost=0)))
    assert found.support is ClaimVerdict.REFUTED
    assert "3 others were lost" in found.says


def test_a_run_that_is_not_there_leaves_it_unknown_with_why() -> None:
    found = C06.found(Runs(missing={"node_kill": "exit code 4: no haproxy"}))
    assert (found.support, found.points) == (ClaimVerdict.UNKNOWN, ())
    assert "no haproxy" in found.says


def test_a_judge_that_missed_a_bug_settles_nothing() -> None:
    blind = replace(RUN, controls=replace(RUN.controls, calibration=replace(JUDGED, correct=6)))
    assert C05.found(node_kill(blind)).support is ClaimVerdict.UNKNOWN


def test_a_figure_that_was_not_measured_leaves_it_unknown() -> None:
    assert C06.found(node_kill(replace(RUN, designs={}))).support is ClaimVerdict.UNKNOWN
    assert ClaimFinding.of(True, "so it is", "%", [ClaimPoint("x", float("nan"))]).support is ClaimVerdict.UNKNOWN


def test_a_share_has_its_exact_interval() -> None:
    assert ClaimPoint.share("x", 0, 100).interval == pytest.approx((0, 3.622), abs=0.001)
    assert ClaimPoint.share("x", 50, 100).interval == pytest.approx((39.832, 60.168), abs=0.001)


def test_every_claim_is_of_the_table_and_says_what_it_rests_on() -> None:
    ids = [claim.id for claim in claims.CLAIMS]
    assert len(set(ids)) == len(ids)
    for claim in claims.CLAIMS:
        assert re.fullmatch(r"C\d\d", claim.id)
        assert claim.needs
        for need in claim.needs:
            assert (Path("scenarios") / f"{need.name}.py").is_file()


def test_runs_are_shared() -> None:
    assert [need.name for need in needs([C05, C06])] == ["node_kill"]


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(UsageError, match="no claim C99"):
        claims.chosen(["C99"])


def test_a_run_that_breaks_is_told_and_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = replace(C05, needs=(RequiredRun("broken", ("run", "no/such/file.py")),))
    slow = replace(C06, needs=(RequiredRun("slow", ("list", "states"), budget=0.01),))
    said: list[str] = []
    runs = attempt(needs([broken, slow]), tmp_path, said.append)
    assert "exit code 2" in runs.missing["broken"]
    assert "no scenario file no/such/file.py" in runs.missing["broken"]
    assert "more than its 0.01 s" in runs.missing["slow"]
    assert len([line for line in said if line.startswith("[")]) == 2


def test_the_page_and_the_figures_are_read_back(tmp_path: Path) -> None:
    told = {
        "C05": ClaimResult.of(C05, node_kill()),
        "C06": ClaimResult.of(C06, Runs()),
    }
    claims.write(told, tmp_path)
    assert claims.read(tmp_path) == told
    page = (tmp_path / "claims.md").read_text()
    assert "| [C05](#c05) |" in page
    assert "![C05: " in page
    assert (tmp_path / "claims" / "C05.svg").is_file()
    assert not (tmp_path / "claims" / "C06.svg").exists()
    assert "| C01 |" in page
    assert "not attempted" in page


def test_an_unreadable_page_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text('{"C05": {}}')
    assert claims.read(tmp_path) == {}


def places(**lost: int) -> Runs:
    """A run whose designs are called ``<place>_<mishap>``, and lost as many sessions."""
    designs = {}
    for name, count in lost.items():
        arm = RUN.designs["sticky"].arms["fault"]
        hit = replace(arm, sessions=replace(arm.sessions, lost=count), writes=replace(arm.writes, lost=count))
        designs[name] = replace(
            RUN.designs["sticky"], describe={"policy": "cookie"}, arms={"control": arm, "fault": hit}
        )
    return Runs({"places": replace(RUN, designs=designs)})


def test_the_decision_advises_what_holds_by_its_figures(tmp_path: Path) -> None:
    runs = places(memory_killed=40, memory_deployed=200, redis_killed=0, redis_deployed=0, redis_storeless=200)
    page = claims.decide(runs, tmp_path).read_text()
    assert "| **memory** |" in page
    assert "| 40 of 200 | 200 of 200 | has none | has none |" in page
    assert "If you need **no session lost when a replica dies**: use **redis**" in page
    assert "the store's own server dies**: none of the places" in page


def test_without_a_run_the_decision_says_so(tmp_path: Path) -> None:
    assert "Nothing was measured: places was not measured" in claims.decide(Runs(), tmp_path).read_text()
