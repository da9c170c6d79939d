"""The forest plot of a comparison."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.compare import compare
from harness.report.charts import forest
from tests.support.compare import Session

pytestmark = pytest.mark.slow  # every test draws real charts

BASELINE = Session(seed=1, arms=("control", "fault")).side()
SLOW = compare(Session(seed=2, arms=("control", "fault"), slower={"subject": 1.3}).side(), BASELINE)


def words(path: Path) -> str:
    return "".join(ET.parse(path).getroot().itertext())  # noqa: S314 - a file that this test wrote


def test_every_ratio_has_a_row_and_the_margin_is_named(tmp_path: Path) -> None:
    chart = forest.draw(SLOW, tmp_path / "charts")
    assert chart is not None
    assert (chart.svg.name, chart.png.name) == ("compare.svg", "compare.png")
    text = words(chart.svg)
    assert text.count("control: p50, by") == 2 and text.count("fault: p50, by its control") == 2
    assert "margin, 10%" in text and "worse" in text
    assert len(chart.table.rows) == len(SLOW.metrics)


def test_the_same_comparison_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = forest.draw(SLOW, tmp_path / "a"), forest.draw(SLOW, tmp_path / "b")
    assert first and second
    assert first.svg.read_bytes() == second.svg.read_bytes()
    assert first.png.read_bytes() == second.png.read_bytes()


def test_the_finding_names_what_regressed() -> None:
    assert forest.finding(SLOW).startswith("regression: subject, control arm")
    same = compare(Session(seed=2).side(), Session(seed=1).side())
    assert "regression" not in forest.finding(same)


def test_nothing_is_drawn_without_a_ratio(tmp_path: Path) -> None:
    unseen = tuple(replace(metric, ratio=None, interval=None) for metric in SLOW.metrics)
    assert forest.draw(replace(SLOW, metrics=unseen), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_far_off_the_axis_is_cut_and_still_drawn(tmp_path: Path) -> None:
    wild = tuple(replace(metric, ratio=9.0, interval=(0.01, 40.0)) for metric in SLOW.metrics)
    chart = forest.draw(replace(SLOW, metrics=wild), tmp_path)
    assert chart is not None and "(-" not in words(chart.svg)


def test_the_ratio_of_a_single_pair_is_drawn_without_an_interval(tmp_path: Path) -> None:
    once = tuple(replace(metric, interval=None) for metric in SLOW.metrics)
    assert forest.draw(replace(SLOW, metrics=once), tmp_path) is not None
