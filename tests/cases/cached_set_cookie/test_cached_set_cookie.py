"""A user with somebody else's cookie sees somebody else's session."""

from pathlib import Path

import pytest

from tests.support.cases import needs_node, run_case


@pytest.mark.slow
@needs_node
def test_a_cached_cookie_shows_customers_the_session_of_another(tmp_path: Path) -> None:
    case = run_case("cached_set_cookie", tmp_path)
    cached, plain = (case.summary.designs[name].arms["control"].sessions for name in ("cached", "plain"))
    assert cached.leaked >= 0.8 * cached.started, cached
    assert (case.summary.designs["cached"].finding, case.summary.designs["cached"].verdict) == ("leaked", "fail")
    assert (case.summary.designs["plain"].finding, plain.leaked) == ("kept", 0)
    assert case.code == 1
