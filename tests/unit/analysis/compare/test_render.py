"""A comparison as text, Markdown, XML and annotations."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from harness.analysis.compare import Comparison, ComparisonOutcome, compare, render
from harness.results.verdicts import Result, Verdict
from tests.support.compare import Session, changed

BASELINE = Session(seed=1).side()
SLOW = compare(Session(seed=2, slower={"subject": 1.25}).side(), BASELINE)
SAME = compare(Session(seed=2).side(), BASELINE)
LOSSY = compare(changed(Session(seed=2).side(), "subject", 0, {"lost": 1}, "writes"), BASELINE)
NOTHING = compare(Session(seed=2, designs=("reference",)).side(), BASELINE)


def xml(comparison: Comparison, tmp_path: Path) -> ET.Element:
    render.write_junit(comparison, tmp_path / "deep" / "c.xml")
    return ET.parse(tmp_path / "deep" / "c.xml").getroot()  # noqa: S314 - a file of our own making


def test_the_xml_has_a_case_an_invariant_and_a_metric_and_its_counts_are_right(tmp_path: Path) -> None:
    root = xml(SLOW, tmp_path)
    cases = root.findall(".//testcase")
    assert len(cases) == len(SLOW.invariants) + len(SLOW.metrics) + 1
    flagged = sum(metric.outcome is ComparisonOutcome.REGRESSION for metric in SLOW.metrics)
    assert flagged > 0
    assert len(root.findall(".//failure")) == flagged + 1  # and the comparison as a whole
    assert sum(int(suite.attrib["failures"]) for suite in root.findall("testsuite")) == flagged + 1


def test_what_is_not_known_is_skipped_in_the_xml_never_passed(tmp_path: Path) -> None:
    whole = xml(NOTHING, tmp_path).findall(".//testcase")
    assert [len(case.findall("skipped")) for case in whole] == [1]


def test_a_pass_has_neither_failure_nor_a_skipped_whole(tmp_path: Path) -> None:
    root = xml(SAME, tmp_path)
    assert root.findall(".//failure") == []
    assert root.findall("testsuite")[-1].findall(".//skipped") == []


def test_names_that_xml_cannot_hold_are_cleaned(tmp_path: Path) -> None:
    odd = Verdict("keeps", Result.FAIL, 'a \x00 <b> & "c"', "subject")
    comparison = compare(replace(Session(seed=2).side(), verdicts=(odd,)), BASELINE)
    messages = [failure.attrib["message"] for failure in xml(comparison, tmp_path).findall(".//failure")]
    assert any('<b> & "c"' in message for message in messages)


def test_markdown_has_a_whole_table_and_says_what_it_comes_to() -> None:
    text = render.render_markdown(SLOW)
    assert text.startswith("### ❌ made_up: regression\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(SLOW.metrics)
    assert {line.count("|") for line in rows} == {6}
    assert re.search(r"subject, control arm: p50 against reference \| \+2\d\.\d%", text)


def test_a_throughput_is_shown_in_its_own_direction() -> None:
    row = next(
        render.render_row(metric)
        for metric in SLOW.metrics
        if (metric.design, metric.measure) == ("subject", "throughput")
    )
    low, high = (float(end) for end in re.findall(r"([+-][\d.]+)%", row[2]))
    assert -26 < low < float(row[1].rstrip("%")) < high < -14


def test_markdown_lists_each_invariant_that_broke() -> None:
    assert "| acknowledged writes lost, control | subject | regression |" in render.render_markdown(LOSSY)
    assert "| invariant |" not in render.render_markdown(SAME)


def test_a_bar_or_tag_in_a_reason_cannot_break_the_table() -> None:
    odd = replace(Session(seed=2).side(), verdicts=(Verdict("keeps", Result.FAIL, "a | <b>\nc", "subject"),))
    assert "a \\| &lt;b> c" in render.render_markdown(compare(odd, BASELINE))


def test_annotations_are_errors_of_a_regression_warnings_of_doubt_and_none_of_a_pass() -> None:
    assert [line.split(" ")[0] for line in render.render_annotations(LOSSY)] == ["::error"]
    assert [line.split(" ")[0] for line in render.render_annotations(NOTHING)] == ["::warning"] * len(NOTHING.why)
    assert list(render.render_annotations(SAME)) == []


def test_an_annotation_is_one_line_whatever_the_reason_holds() -> None:
    odd = replace(LOSSY, why=("10 % of\nthem",))
    (line,) = render.render_annotations(odd)
    assert line.endswith("::10 %25 of%0Athem")


def test_what_was_declared_and_what_differs_is_noted() -> None:
    run = Session(seed=2).side()
    moved = replace(run, plan=replace(run.plan, environment={**run.plan.environment, "cores": 64}, versions={}))
    notes = " ".join(render.render_notes(compare(moved, BASELINE, allow_environment=True)))
    assert "cores is 64" in notes and "version of session-harness" in notes and "A/A" in notes
