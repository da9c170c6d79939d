"""A session whose sid is unknown is lost where the user says so, and unknown, with the line to add, where not."""

from pathlib import Path

import pytest

from tests.support.cases import run_case
from tests.support.harness_command import assert_passes_except_for_times


@pytest.mark.slow
def test_what_the_user_calls_gone_is_lost(tmp_path: Path) -> None:
    case = run_case("socketio_sid_unknown", tmp_path)
    assert_passes_except_for_times(case.verdicts)
    designs = case.summary.designs
    for arm in designs["rr"].arms.values():
        assert arm.sessions.lost + arm.sessions.stale > 0.9 * arm.sessions.judged
    sticky = designs["sticky"].arms["fault"].sessions
    assert (sticky.lost, sticky.lost_not_at_risk, sticky.at_risk_not_lost) == (sticky.at_risk, 0, 0)
    assert 0 < sticky.lost < sticky.judged == sticky.started


@pytest.mark.slow
def test_without_a_word_it_is_unknown(tmp_path: Path) -> None:
    case = run_case("socketio_sid_unknown", tmp_path, file="undeclared.py")
    arm = case.summary.designs["sticky"].arms["fault"]
    assert (arm.sessions.lost, case.code) == (0, 3)
    assert 0 < arm.sessions.unknown < arm.sessions.started
    reads = f"{arm.sessions.unknown} final reads got 400 ('Session ID unknown')"
    assert f'{reads}; if that means gone, add `gone=Body("Session ID unknown")`' in " ".join(case.command.out.split())
    reads = f"{arm.sessions.unknown} final reads got 400 ('Session ID unknown'); if that means gone, add "
    assert f'{reads}`gone=Body("Session ID unknown")`' in " ".join(verdict.why for verdict in case.verdicts)
