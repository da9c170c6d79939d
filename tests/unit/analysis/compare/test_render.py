"""A comparison as text, Markdown, XML and annotations."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.analysis.compare import Comparison, ComparisonOutcome, MetricComparison, compare, render
from harness.results.verdicts import Result, Verdict
from tests.support.compare import Session, changed

BASELINE = Session(seed=1).side()
SLOW = compare(Session(seed=2, slower={"subject": 1.25}).side(), BASELINE)
SAME = compare(Session(seed=2).side(), BASELINE)
LOSSY = compare(changed(Session(seed=2).side(), "subject", 0, {"lost": 1}, "writes"), BASELINE)
NOTHING = compare(Session(seed=2, designs=("reference",)).side(), BASELINE)


def xml(comparison: Comparison, tmp_path: Path) -> ET.Element:
    render.write_junit(comparison, tmp_path / "deep" / "er" / "c.xml")
    return ET.parse(tmp_path / "deep" / "er" / "c.xml").getroot()  # noqa: S314 - a file of our own making


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
    assert "| count or check |" not in render.render_markdown(SAME)


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


def test_the_sentence_counts_what_holds() -> None:
    assert render.render_sentence(LOSSY).startswith("regression: run-2 against run-1: ")
    whole = len(LOSSY.invariants)
    assert f"{whole - 1} of {whole} counts and checks hold, " in render.render_sentence(LOSSY)
    assert f"{whole} of {whole} counts and checks hold, " in render.render_sentence(SAME)
    gating = [metric for metric in SAME.metrics if metric.gates]
    assert f", {len(gating)} of {len(gating)} gating ratios within 10% or better" in render.render_sentence(SAME)
    assert render.render_sentence(NOTHING).endswith(": nothing was compared")


def test_the_notes_say_by_how_much_the_controls_moved_and_what_the_dot_means() -> None:
    notes = list(render.render_notes(SAME))
    assert SAME.noise.echo is not None
    low, high = SAME.noise.echo
    assert f"the echo ran at {low:.0%} to {high:.0%} of its speed in the baseline's session (95 %)" in notes
    assert any(note.startswith("a metric marked with a dot is too unsteady to gate") for note in notes)
    assert list(render.render_notes(NOTHING)) == []


def test_too_few_pairs_show_their_ratio_and_say_so() -> None:
    few = compare(Session(seed=2, pairs=1, slower={"subject": 3.0}).side(), BASELINE)
    row = next(
        render.render_row(metric) for metric in few.metrics if (metric.design, metric.measure) == ("subject", "p50")
    )
    assert float(row[1].rstrip("%")) > 100
    assert row[2:] == ("-", "1, 6", "inconclusive, too few pairs")


def row(**change: Any) -> tuple[str, ...]:
    known: dict[str, Any] = {
        "design": "d",
        "arm": "control",
        "measure": "p50",
        "against": "reference",
        "gates": True,
        "pairs": (7, 6),
        "ratio": 1.25,
        "interval": (1.2, 1.5),
        "outcome": ComparisonOutcome.REGRESSION,
        "why": "",
    }
    return render.render_row(MetricComparison(**{**known, **change}))


def test_a_row_has_the_change_in_per_cent() -> None:
    name = "d, control arm: p50 against reference"
    assert row() == (name, "+25.0%", "+20.0% to +50.0%", "7, 6", "regression")
    assert row(gates=False)[0] == f"{name} ·"
    assert row(ratio=0.8, interval=(0.5, 1.0))[1:3] == ("-20.0%", "-50.0% to +0.0%")
    assert row(measure="throughput")[1:3] == ("-20.0%", "-33.3% to -16.7%")
    assert (row(ratio=None)[1], row(interval=None)[2]) == ("-", "-")


def test_only_what_gates_is_counted_in_the_sentence() -> None:
    gating = [metric for metric in SLOW.metrics if metric.gates]
    good = (ComparisonOutcome.IMPROVED, ComparisonOutcome.EQUIVALENT)
    same = sum(metric.outcome in good for metric in gating)
    assert 0 < same < len(gating) < len(SLOW.metrics)
    assert f", {same} of {len(gating)} gating ratios within 10% or better" in render.render_sentence(SLOW)


def test_improved_counts_and_checks_hold_too() -> None:
    better = replace(
        SAME, invariants=tuple(replace(one, outcome=ComparisonOutcome.IMPROVED) for one in SAME.invariants)
    )
    whole = len(better.invariants)
    assert f"{whole} of {whole} counts and checks hold" in render.render_sentence(better)
    assert len(render.select_broken(better)) == whole, "what improved is listed all the same"


def test_what_is_not_known_or_failed_has_its_own_result_in_the_xml(tmp_path: Path) -> None:
    for outcome, result in (
        (ComparisonOutcome.REGRESSION, "failure"),
        (ComparisonOutcome.INCONCLUSIVE, "skipped"),
        (ComparisonOutcome.NOT_COMPARABLE, "skipped"),
        (ComparisonOutcome.IMPROVED, None),
        (ComparisonOutcome.EQUIVALENT, None),
    ):
        root = xml(replace(SAME, outcome=outcome, why=("a", "b")), tmp_path)
        case = root.findall("testsuite")[-1].find("testcase")
        assert case is not None and [child.tag for child in case] == ([result] if result else [])
        if result:
            assert "a; b" in case[0].attrib["message"]


def test_an_annotation_escapes_what_would_end_it() -> None:
    assert [line.rpartition("::")[2] for line in render.render_annotations(replace(LOSSY, why=("a\r\n%",)))] == [
        "a%0D%0A%25"
    ]
