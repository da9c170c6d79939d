"""A browser forgets the cookie while the server goes on with its session."""

from pathlib import Path

import pytest

from tests.support.cases import needs_node, run_case


@pytest.mark.slow
@needs_node
def test_every_session_is_lost_when_its_cookie_expires(tmp_path: Path) -> None:
    case = run_case("cookie_age_not_rolling", tmp_path)
    design = case.summary.designs["not_rolling"]
    sessions = design.arms["control"].sessions
    assert (design.finding, design.verdict, sessions.lost) == ("lost", "fail", sessions.started)
    assert set(sessions.lost_by_cause) == {"cookie_expired"}


@pytest.mark.slow
@needs_node
def test_a_client_that_ignores_lifetimes_keeps_them_and_the_report_says_so(tmp_path: Path) -> None:
    case = run_case("cookie_age_not_rolling", tmp_path, file="immortal.py")
    assert case.summary.designs["not_rolling"].finding == "kept"
    assert "The lifetimes of cookies were ignored" in " ".join(case.command.out.split())
