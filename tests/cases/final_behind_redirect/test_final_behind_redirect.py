"""Redirects are followed in the final read as everywhere, and each hop is a request of its own."""

from pathlib import Path

import pytest

from tests.support.cases import needs_node, run_case


@pytest.mark.slow
@needs_node
def test_sessions_whose_state_is_behind_a_redirect_are_kept(tmp_path: Path) -> None:
    case = run_case("final_behind_redirect", tmp_path)
    arm = case.summary.designs["redirects"].arms["control"]
    assert case.summary.designs["redirects"].finding == "kept"
    assert (arm.sessions.judged, arm.sessions.unknown) == (arm.sessions.started, 0)
    assert {"POST /count", "POST /en/count", "GET /count", "GET /en/count"} <= set(arm.names)
    assert arm.writes.lost == 0
    assert arm.writes.acknowledged >= arm.names["POST /en/count"].requests > 0  # without those of the warm-up
