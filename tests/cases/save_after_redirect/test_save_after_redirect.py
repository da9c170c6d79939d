"""The race of "save before redirect" shows only to a client that follows as soon as the head is there."""

from pathlib import Path

import pytest

from tests.support.cases import needs_node, run_case


@pytest.mark.slow
@needs_node
def test_a_client_that_follows_at_the_head_reads_before_the_session_is_saved(tmp_path: Path) -> None:
    case = run_case("save_after_redirect", tmp_path)
    design = case.summary.designs["late"]
    sessions = design.arms["control"].sessions
    assert (design.finding, design.verdict) == ("stale", "fail")
    assert sessions.stale > 0.9 * sessions.started, sessions


@pytest.mark.slow
@needs_node
def test_a_client_that_waits_for_the_whole_redirect_does_not_see_it(tmp_path: Path) -> None:
    case = run_case("save_after_redirect", tmp_path, file="patient.py")
    assert case.summary.designs["late"].finding == "kept"
