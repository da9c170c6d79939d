"""A write counts by its own reply, whatever the page that it redirects to answers."""

from pathlib import Path

import pytest

from tests.support.cases import needs_node, run_case


@pytest.mark.slow
@needs_node
def test_every_write_is_acknowledged_and_the_404s_are_failed_requests_of_their_own(tmp_path: Path) -> None:
    case = run_case("post_redirect_get_404", tmp_path)
    arm = case.summary.designs["lagging"].arms["control"]
    posts = arm.names["POST /items"].requests
    assert case.summary.designs["lagging"].finding == "kept"
    assert (arm.writes.lost, arm.writes.unexplained, arm.writes.in_doubt) == (0, 0, 0)
    assert arm.writes.acknowledged >= posts > 0  # without those of the warm-up
    pages = [stats for name, stats in arm.names.items() if name.startswith("GET /item/")]
    assert 0 < sum(stats.statuses.get("404", 0) for stats in pages) <= sum(stats.requests for stats in pages)
    assert sum(stats.requests for stats in pages) >= 0.9 * posts
