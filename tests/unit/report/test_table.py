from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.oracle.outcome import SessionOutcome
from harness.report import table
from harness.results.summary import ArmFigures, DesignSummary, RequestCounts, Summary
from tests.support import charts as fakes

STICKY = fakes.arm(fakes.TRIO[0], "fault")
KEPT = fakes.arm(fakes.TRIO[1], "fault")


def summary(**arms: ArmFigures) -> Summary:
    """A run whose designs have a fault arm alone."""
    designs = {name: DesignSummary({}, {"fault": arm}, SessionOutcome.KEPT) for name, arm in arms.items()}
    return replace(fakes.summary(), designs=designs)


def with_sessions(arm: ArmFigures, **figures: Any) -> ArmFigures:
    return replace(arm, sessions=replace(arm.sessions, **figures))


def test_a_loss_comes_with_its_sample_size_and_its_prediction() -> None:
    assert table.describe_sessions(STICKY.sessions, STICKY.writes) == "lost 67 of 200 sessions (33.5 %), predicted 67"


def test_no_loss_comes_with_its_sample_size_and_upper_bound() -> None:
    finding = table.describe_sessions(KEPT.sessions, KEPT.writes)
    assert finding == "lost 0 of 200 sessions (95 % upper bound 1.5 %), predicted 0"


def test_other_harms_come_first_if_nothing_was_lost() -> None:
    arm = with_sessions(KEPT, leaked=3, stale=1, expected_lost=None)
    finding = table.describe_sessions(arm.sessions, arm.writes)
    assert finding == "read stale 1 and leaked 3 of 200; lost 0 of 200 sessions (95 % upper bound 1.5 %)"


def test_other_harms_follow_a_loss() -> None:
    arm = with_sessions(STICKY, forced_login=4)
    assert table.describe_sessions(arm.sessions, arm.writes).endswith("predicted 67; forced to log in 4")


def test_the_finding_names_duplicates_and_unknown_sessions() -> None:
    arm = with_sessions(KEPT, started=202, unknown=2)
    finding = table.describe_sessions(arm.sessions, replace(arm.writes, duplicated=1))
    assert finding.endswith("; 1 write applied twice; 2 unknown")


def test_a_design_without_judged_sessions_is_not_reported_as_lossless() -> None:
    arm = with_sessions(KEPT, judged=0, unknown=200)
    assert table.describe_sessions(arm.sessions, arm.writes) == "no session was judged"


def test_the_cells_of_a_row_match_the_columns() -> None:
    row = table.rows(fakes.summary())[0]
    assert dict(zip(table.COLUMNS, row.cells, strict=True)) == {
        "design": "sticky",
        "what the fault did to its sessions": "lost 67 of 200 sessions (33.5 %), predicted 67",
        "acknowledged writes lost": "201 of 48,210 (0.4 %)",
        "forced logins": "0 of 200 (95 % upper bound 1.5 %)",
        "errors while it lasted": "72 of 1,072 (6.7 %), 12 of them in doubt",
        "detect, s": "1.4",
        "recover, s": "2.1",
        "correct/s before, during, after": "300 / 252 / 299",
        "p99 ms, without → with": "16 → 48",
        "as expected?": "pass",
    }
    assert row.why == ("expected to lose those at risk, and did",)


def test_no_acknowledged_write_lost_comes_with_its_upper_bound() -> None:
    assert table.rows(fakes.summary())[1].writes_lost == "0 of 48,210 (95 % upper bound 0.0062 %)"


def test_a_design_without_arms_has_a_row_that_says_so() -> None:
    row = table.rows(fakes.summary(arms=()))[0]
    assert row.cells == ("sticky", "nothing was measured", *["-"] * 7, "pass")


def test_the_row_of_a_run_without_faults_describes_its_control() -> None:
    row = table.rows(fakes.summary(arms=("control",)))[0]
    assert (row.errors, row.detect, row.recover, row.throughput, row.p99) == ("-", "-", "-", "300", "16")


def test_a_phase_without_requests_has_no_error_rate() -> None:
    during = STICKY.phases.during
    assert during is not None
    silent = replace(during, requests=RequestCounts(0, 0, 0, 0))
    arm = replace(STICKY, phases=replace(STICKY.phases, during=silent))
    assert table.rows(summary(sticky=arm))[0].errors == "none seen"


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        (
            {"sticky": STICKY, "stateless": KEPT, "hybrid": KEPT},
            "sticky lost 67 of 200 sessions, exactly those at risk; stateless and hybrid lost none of 400 sessions.",
        ),
        ({"a": KEPT, "b": STICKY}, "b lost 67 of 200 sessions, exactly those at risk; a lost none of 200 sessions."),
        ({"a": with_sessions(STICKY, lost=60)}, "a lost 60 of 200 sessions, predicted 67."),
        ({"a": with_sessions(STICKY, lost_not_at_risk=3)}, "a lost 67 of 200 sessions, as predicted."),
        ({"a": with_sessions(STICKY, expected_lost=None)}, "a lost 67 of 200 sessions."),
        ({"a": with_sessions(KEPT, leaked=2)}, "a lost none, but leaked 2 of 200 sessions."),
        ({"a": with_sessions(KEPT, judged=0, unknown=200)}, "No session was judged."),
    ],
)
def test_the_sentence_names_first_who_lost(arms: Mapping[str, ArmFigures], sentence: str) -> None:
    assert table.sentence(summary(**arms)) == sentence


def test_the_sentence_sums_up_all_but_four_losers() -> None:
    sentence = table.sentence(summary(**{f"d{i}": STICKY for i in range(12)}))
    assert sentence.endswith("; 8 more designs lost 536 of 1,600.")


def test_a_note_explains_the_throughput_of_closed_load() -> None:
    assert any("closed" in note for note in table.notes(fakes.summary(), "closed"))
    assert not any("closed" in note for note in table.notes(fakes.summary(), "open"))


def test_a_note_names_the_designs_with_emulated_service_time() -> None:
    slow = fakes.Fake("slow", describe={"service_time_s": 0.02, "slots": 2})
    note = table.notes(fakes.summary([slow, fakes.TRIO[0]]))[-1]
    assert "emulated" in note
    assert "slow (20 ms, 2 at once per replica)" in note
    assert "sticky" not in note


def test_a_saturated_driver_is_the_first_doubt() -> None:
    arm = replace(STICKY, driver=replace(STICKY.driver, saturated=True, lag_p99_ms=80.0))
    assert table.doubts(summary(sticky=arm))[0].startswith(
        "The load driver was saturated in sticky (fault, lag p99 80 ms)"
    )


def test_the_doubt_names_the_saturated_core() -> None:
    busy = replace(STICKY.driver, saturated=True, lag_p99_ms=80.0, cpu_median=0.98, core="core 1 of worker-2 on there")
    assert "98 % of core 1 of worker-2 on there" in table.doubts(summary(sticky=replace(STICKY, driver=busy)))[0]


def test_a_judge_is_a_doubt_only_if_it_errs() -> None:
    run = fakes.summary()
    assert "1 of 120" in table.doubts(run)[0]
    calibration = run.controls.calibration
    assert calibration is not None
    right = replace(run, controls=replace(run.controls, calibration=replace(calibration, correct=120)))
    assert table.doubts(right) == ()
