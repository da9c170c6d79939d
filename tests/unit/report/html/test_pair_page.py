import re
from dataclasses import replace
from pathlib import Path

from harness.oracle.outcome import SessionOutcome
from harness.report.charts import draw
from harness.report.html.pair_page import Side, differences, pair_charts, write
from harness.results.summary import Summary
from tests.support import charts as fakes


def _side(summary: Summary, tmp_path: Path, run: str) -> Side:
    named = replace(summary, run=run)
    return Side(named, draw(named, fakes.runs(), tmp_path / run))


def test_a_run_does_not_differ_from_itself(tmp_path: Path) -> None:
    side = _side(fakes.summary(), tmp_path, "one")
    assert differences(side, side).rows == ()


def test_different_counts_and_findings_are_listed(tmp_path: Path) -> None:
    left = _side(fakes.summary(), tmp_path, "one")
    name, design = next(iter(left.summary.designs.items()))
    arm = design.arms["fault"]
    worse = replace(arm, sessions=replace(arm.sessions, lost=arm.sessions.lost + 1))
    changed = replace(design, finding=SessionOutcome.LEAKED, arms={**design.arms, "fault": worse})
    right = Side(replace(left.summary, run="two", designs={**left.summary.designs, name: changed}), left.charts)
    listed = {(row[0], row[1]) for row in differences(left, right).rows}
    assert listed == {(name, "finding"), (name, "fault: sessions lost")}


def test_a_design_that_only_one_run_has_is_listed(tmp_path: Path) -> None:
    left = _side(fakes.summary(), tmp_path, "one")
    gone = dict(left.summary.designs)
    name, _ = gone.popitem()
    right = Side(replace(left.summary, run="two", designs=gone), left.charts)
    assert (name, "ran", None, "no") in differences(left, right).rows


def test_charts_stand_beside_each_other_by_title(tmp_path: Path) -> None:
    left = _side(fakes.summary(), tmp_path, "one")
    right = replace(left, charts=left.charts[1:])
    (title, (ours, theirs)), *rest = pair_charts(left, right)
    assert title == left.charts[0].title and ours is not None and theirs is None
    assert all(None not in charts for _, charts in rest)


def test_the_page_of_two_runs_has_no_id_twice(tmp_path: Path) -> None:
    left, right = _side(fakes.summary(), tmp_path, "one"), _side(fakes.summary(), tmp_path, "two")
    html = write(tmp_path / "both.html", left, right).read_text()

    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 100
    assert html.count("<figure>") == 2 * len(left.charts)
