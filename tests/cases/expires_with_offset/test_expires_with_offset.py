"""An offset in a date means nothing to a browser: the cookie is dead on arrival."""

import shutil
from pathlib import Path

import pytest

from tests.support.cases import run_case


@pytest.mark.slow
def test_every_session_is_lost_since_its_cookie_is_dead_on_arrival(tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("no Java on this machine: apt-get install default-jdk-headless")
    case = run_case("expires_with_offset", tmp_path)
    for name, design in case.summary.designs.items():
        sessions = design.arms["control"].sessions
        assert (design.finding, design.verdict, sessions.lost) == ("lost", "fail", sessions.started), name
        assert set(sessions.lost_by_cause) == {"cookie_expired"}, name
