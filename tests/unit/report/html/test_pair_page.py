import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.charts import draw
from harness.report.html.pair_page import Side, pair_charts, write
from harness.results.summary import Summary
from tests.support import charts as fakes

pytestmark = pytest.mark.slow  # every test draws real charts


def _side(summary: Summary, tmp_path: Path, run: str) -> Side:
    named = replace(summary, run=run)
    return Side(named, draw(named, fakes.runs(), tmp_path / run))


def test_the_charts_that_both_have_stand_beside_each_other(tmp_path: Path) -> None:
    left = _side(fakes.summary(), tmp_path, "one")
    right = replace(left, charts=left.charts[1:])
    pairs = pair_charts(left, right)
    assert [title for title, _ in pairs] == [chart.title for chart in left.charts[1:]]
    assert all(ours.title == theirs.title for _, (ours, theirs) in pairs)


def test_what_differs_comes_first_with_its_direction_in_colour(tmp_path: Path) -> None:
    left = _side(fakes.summary(), tmp_path, "one")
    design = left.summary.designs["sticky"]
    arm = design.arms["fault"]
    worse = replace(arm, sessions=replace(arm.sessions, lost=150))
    designs = {"sticky": replace(design, arms={"fault": worse})}
    right = Side(replace(left.summary, run="two", designs=designs), left.charts)
    html = write(tmp_path / "both.html", left, right).read_text()
    first = html[: html.index("</section>")]
    assert '<td class="fail">worse</td>' in first and "150 of 200" in first
    assert "stateless" not in first, "only one of the runs has it"


def test_the_page_of_two_runs_has_no_id_twice(tmp_path: Path) -> None:
    left, right = _side(fakes.summary(), tmp_path, "one"), _side(fakes.summary(), tmp_path, "two")
    html = write(tmp_path / "both.html", left, right).read_text()

    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 100
    assert html.count("<figure>") == 2 * len(left.charts)
