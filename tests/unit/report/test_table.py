from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.oracle.outcome import SessionOutcome
from harness.report import table
from harness.results.summary import (
    ArmFigures,
    DesignSummary,
    EndpointStats,
    LoadUsers,
    RequestCounts,
    Spread,
    Summary,
)
from tests.support import charts as fakes

STICKY = fakes.arm(fakes.TRIO[0], "fault")
KEPT = fakes.arm(fakes.TRIO[1], "fault")


def summary(**arms: ArmFigures) -> Summary:
    """A run whose designs have a fault arm alone."""
    designs = {name: DesignSummary({}, {"fault": arm}, SessionOutcome.KEPT) for name, arm in arms.items()}
    return replace(fakes.summary(), designs=designs)


def with_sessions(arm: ArmFigures, **figures: Any) -> ArmFigures:
    return replace(arm, sessions=replace(arm.sessions, **figures))


def with_writes(arm: ArmFigures, **figures: int) -> ArmFigures:
    return replace(arm, writes=replace(arm.writes, **figures))


def test_a_loss_comes_with_its_sample_size_and_its_prediction() -> None:
    assert table.describe_sessions(STICKY.sessions, STICKY.writes) == "lost 67 of 200 sessions (33.5 %), predicted 67"


def test_no_loss_comes_with_its_sample_size_and_upper_bound() -> None:
    finding = table.describe_sessions(KEPT.sessions, KEPT.writes)
    assert finding == "lost 0 of 200 sessions (95 % upper bound 1.5 %), predicted 0"


def test_other_harms_come_first_if_nothing_was_lost() -> None:
    arm = with_sessions(KEPT, leaked=3, stale=1, expected_lost=None)
    finding = table.describe_sessions(arm.sessions, arm.writes)
    assert finding == "read stale 1 and leaked 3 of 200; lost 0 of 200 sessions (95 % upper bound 1.5 %)"


def test_lost_writes_come_first_if_no_session_was_lost() -> None:
    writes = replace(KEPT.writes, acknowledged=294, lost=96)
    finding = table.describe_sessions(with_sessions(KEPT, stale=2, expected_lost=None).sessions, writes)
    assert finding.startswith("96 of 294 acknowledged writes lost; read stale 2 of 200; lost 0 of 200 sessions")
    assert "acknowledged" not in table.describe_sessions(STICKY.sessions, replace(STICKY.writes, lost=96))


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
    assert row.cells == ("sticky", "nothing was measured", *["-"] * 6, "pass")


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
        (
            {"a": with_writes(KEPT, lost=96, duplicated=3), "b": KEPT},
            "b lost none of 200 sessions; "
            "a lost none of 200 sessions: 96 acknowledged writes lost and 3 writes duplicated.",
        ),
        (
            {"a": with_writes(with_sessions(KEPT, stale=1), unexplained=1)},
            "a lost none, but read stale 1 of 200 sessions: 1 writes unexplained.",
        ),
        ({"a": with_sessions(KEPT, judged=0, unknown=200)}, "No session was judged."),
    ],
)
def test_the_sentence_names_first_who_lost(arms: Mapping[str, ArmFigures], sentence: str) -> None:
    assert table.sentence(summary(**arms)) == sentence


def refusing(arm: ArmFigures, failures: Mapping[str, int], *, wrong: int = 0, of: int = 636) -> ArmFigures:
    """The arm, with so many of its orders answered otherwise than well."""
    failed = sum(failures.values())
    stats = EndpointStats(of, of - failed, wrong, failures, 1.0, 2.0, 1.0, 1.0, wrong=wrong, failures=failures)
    return replace(arm, requests=RequestCounts(of, of - failed, failed, 0), names={"POST /orders": stats})


CLEAN = refusing(KEPT, {})
HURTS: Mapping[str, tuple[ArmFigures, str]] = {
    "refused": (refusing(KEPT, {"400": 424}), "424 of 636 POST /orders answered 400"),
    "silent": (refusing(KEPT, {"0": 30}), "30 of 636 POST /orders got no reply"),
    "marked": (refusing(KEPT, {"200": 318}), "318 of 636 POST /orders answered 200 and marked as failed"),
    "wrong": (refusing(KEPT, {}, wrong=318), "318 of 636 POST /orders answered with wrong content"),
    "dropped": (
        replace(CLEAN, requests=RequestCounts(742, 636, 106, 0, dropped=106)),
        "106 of 742 requests were never sent because no session was free",
    ),
    "ended": (
        replace(CLEAN, users=LoadUsers(10, 5, "Fast: RuntimeError: cannot begin")),
        "5 of 10 users ended in on_start (Fast: RuntimeError: cannot begin)",
    ),
}


@pytest.mark.parametrize("case", HURTS)
def test_what_hurts_comes_first(case: str) -> None:
    arm, words = HURTS[case]
    well = DesignSummary({}, {"control": CLEAN, "fault": STICKY}, SessionOutcome.LOST, "pass")
    bad = DesignSummary({}, {"control": arm, "fault": KEPT}, SessionOutcome.KEPT, "fail")
    lines = table.headlines(replace(fakes.summary(), designs={"good": well, "bad": bad}))
    assert lines[0].startswith(f"bad: {words} without a fault; lost 0 of 200 sessions")
    assert lines[0].endswith(" → fail")
    assert lines[1].startswith("good: lost 67 of 200 sessions") and lines[1].endswith(" → pass")
    assert table.sentence(replace(fakes.summary(), designs={"bad": bad})).startswith(f"bad: {words}")


@pytest.mark.parametrize("verdict", ["fail", "pass"])
def test_what_a_failed_design_lost_without_a_fault_stands_in_its_line(verdict: str) -> None:
    arms = {"control": with_writes(CLEAN, lost=30), "fault": KEPT}
    design = DesignSummary({}, arms, SessionOutcome.KEPT, verdict)
    (line,) = table.headlines(replace(fakes.summary(), designs={"d": design}))
    assert line.startswith("d: without a fault 30 acknowledged writes lost; lost 0 of 200") == (verdict == "fail")


def test_the_errors_of_an_outage_are_not_what_hurts() -> None:
    for failed, hurts in ((63, False), (64, True)):
        broken = DesignSummary({}, {"control": CLEAN, "fault": refusing(STICKY, {"503": failed})}, SessionOutcome.LOST)
        (line,) = table.headlines(replace(fakes.summary(), designs={"d": broken}))
        assert ("answered 503" in line) == hurts


def test_times_that_cannot_be_trusted_are_said_in_the_first_line() -> None:
    strained = replace(KEPT, driver=replace(KEPT.driver, saturated=True))
    (line,) = table.headlines(summary(d=strained))
    assert "times of its fault arm cannot be trusted" in line


def test_why_no_session_was_judged_is_said() -> None:
    arm = with_sessions(KEPT, judged=0, unknown=200, not_judged_because=("200 final reads got 404",))
    assert "no session was judged; 200 final reads got 404 → unknown" in table.headlines(summary(d=arm))[0]


def test_the_sentence_sums_up_all_but_four_losers() -> None:
    sentence = table.sentence(summary(**{f"d{i}": STICKY for i in range(12)}))
    assert sentence.endswith("; 8 more designs lost 536 of 1,600.")


def test_a_fault_that_is_felt_until_the_end_never_recovers() -> None:
    fault = STICKY.faults[0]
    both = replace(STICKY, faults=(fault, replace(fault, recover_s=None)))
    assert table.rows(summary(sticky=both))[0].recover == "never"
    unrecorded = replace(STICKY, faults=(replace(fault, recover_s=None, detect_s=None),))
    assert table.rows(summary(sticky=unrecorded))[0].recover not in ("never", "0")


@pytest.mark.parametrize(
    ("driver", "marked"), [({}, ""), ({"doubtful": ("p99",)}, "p99"), ({"saturated": True}, "p99 throughput")]
)
def test_what_cannot_be_trusted_is_marked(driver: Mapping[str, Any], marked: str) -> None:
    row = table.rows(summary(sticky=replace(STICKY, driver=replace(STICKY.driver, **driver))))[0]
    assert [row.p99.endswith("?"), row.throughput.endswith("?")] == ["p99" in marked, "throughput" in marked]


def test_with_dropped_arrivals_the_percentile_is_shown_as_a_lower_bound() -> None:
    bounded = replace(STICKY, latency_is_lower_bound=True)
    assert table.rows(summary(sticky=bounded))[0].p99.startswith(">= ")
    assert ">=" not in table.rows(summary(sticky=STICKY))[0].p99


def test_a_note_explains_the_throughput_of_closed_load() -> None:
    assert any("closed" in note for note in table.notes(fakes.summary(), {"kind": "closed"}))
    assert any("lifetimes of cookies" in note for note in table.notes(fakes.summary(), {"cookies": "immortal"}))
    assert not any("closed" in note for note in table.notes(fakes.summary(), {"kind": "open"}))


@pytest.mark.parametrize(
    ("policy", "per_replica", "noted"),
    [("source", {"a": 90}, True), ("source", {"a": 50, "b": 40}, False), ("connection", {"a": 90}, False)],
)
def test_a_note_says_that_the_address_of_the_load_chose_one_replica(
    policy: str, per_replica: Mapping[str, int], *, noted: bool
) -> None:
    arm = replace(fakes.arm(fakes.TRIO[0], "control"), spread=Spread.of(per_replica))
    pinned = DesignSummary({"policy": policy, "replicas": 2}, {"control": arm}, SessionOutcome.KEPT)
    lines = table.notes(replace(fakes.summary(), designs={"pinned": pinned}))
    assert any("One replica answered all requests of pinned" in line for line in lines) is noted


def test_a_note_explains_why_nothing_was_judged_unless_another_arm_was() -> None:
    cut_off = with_sessions(STICKY, judged=0, unknown=0)
    design = DesignSummary({}, {"fault": cut_off}, SessionOutcome.UNKNOWN)
    judged = replace(design, arms={"control": fakes.arm(fakes.TRIO[0], "control"), "fault": cut_off})
    (note,) = table.notes(replace(fakes.summary(), designs={"plain": design, "counting": judged}))
    assert note.startswith("No session was judged in plain: its users keep no ledger")


def test_a_note_names_the_designs_with_emulated_service_time() -> None:
    slow = fakes.Fake("slow", describe={"service_time_s": 0.02, "slots": 2})
    note = table.notes(fakes.summary([slow, fakes.TRIO[0]]))[-1]
    assert "emulated" in note
    assert "slow (20 ms, 2 at once per replica)" in note
    assert "sticky" not in note


def test_a_note_says_what_sigkill_cut_off_where_sigterm_was_not_enough() -> None:
    evidence = {"forced": True, "grace_s": 6.0, "open_connections": 12}
    fault = replace(STICKY.faults[0], kind="terminate", target="r1", effective=14.0, evidence=evidence)
    lines = table.notes(summary(sticky=replace(STICKY, faults=(fault,))))
    assert lines[-1] == (
        "sticky, terminate of r1 at 14 s: SIGTERM did not end it within 6 s, SIGKILL did and cut off "
        "12 open connections."
    )
    obeyed = replace(fault, evidence={**evidence, "forced": False})
    assert not any("SIGKILL" in line for line in table.notes(summary(sticky=replace(STICKY, faults=(obeyed,)))))
