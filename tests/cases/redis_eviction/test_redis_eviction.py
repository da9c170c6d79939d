"""Redis reaches maxmemory: it evicts sessions, and goes on to accept writes."""

from pathlib import Path

import pytest

from tests.support.cases import run_case


@pytest.mark.slow
def test_about_half_of_the_sessions_are_evicted_and_writes_go_on(tmp_path: Path) -> None:
    case = run_case("redis_eviction", tmp_path)
    fault = case.summary.designs["flask_session"].arms["fault"]
    assert fault.sessions.lost_by_cause.keys() == {"evicted"}
    assert 8 <= fault.sessions.lost <= 22, fault.sessions
    assert fault.names["POST /count"].statuses.keys() == {"200"}
    assert case.summary.designs["flask_session"].finding == "lost"
