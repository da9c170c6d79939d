"""Two tabs of one browser overwrite each other's session where all of it is in a cookie."""

from pathlib import Path

import pytest

from tests.support.cases import run_case


@pytest.mark.slow
def test_two_tabs_lose_about_as_many_updates_as_those_of_a_browser(tmp_path: Path) -> None:
    case = run_case("two_tabs_cookie_store", tmp_path)
    design = case.summary.designs["cookie_store"]
    writes = design.arms["control"].writes
    assert 0.2 < writes.lost / writes.acknowledged < 0.8, writes  # a browser: 10 of 21
    assert design.verdict == "fail"
    assert case.code == 1
