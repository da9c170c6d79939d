"""A browser sends a cookie where its path and domain say, and nowhere else."""

from pathlib import Path

import pytest

from tests.support.cases import run_case


@pytest.mark.slow
def test_all_are_forced_to_log_in_where_the_cookie_is_not_sent(tmp_path: Path) -> None:
    case = run_case("cookie_default_path", tmp_path)
    for name in ("no_path", "other_domain"):
        design = case.summary.designs[name]
        sessions = design.arms["control"].sessions
        assert (sessions.forced_login, design.verdict) == (sessions.started, "fail"), name
    assert case.summary.designs["right"].finding == "kept"
