import itertools
import multiprocessing
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.metrics.fold import fold
from harness.common.intervals import upper_bound_of_none
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss, SessionVerdict
from harness.report.charts import Chart, draw, drawing, losses, outcomes, spectrum, style, timeline
from harness.report.charts.measured import measured, windows
from harness.report.charts.words import format_ratio, listed, number, share
from harness.results.summary import FaultFigures
from tests.support import charts as fakes
from tests.support.clocks_and_topology import RequestRow, observed

pytestmark = pytest.mark.slow  # every test draws real charts

NAMES = ["timeline", "outcomes", "losses", "spectrum", "spread", "cost"]


def by_name(charts: Sequence[Chart]) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chart]:
    return by_name(draw(fakes.summary(), fakes.runs(), tmp_path_factory.mktemp("charts")))


def test_a_run_with_a_fault_gets_every_chart_as_svg_and_png(drawn: dict[str, Chart]) -> None:
    assert list(drawn) == NAMES
    for chart in drawn.values():
        assert chart.svg.read_bytes().startswith(b"<?xml")
        assert chart.png.read_bytes().startswith(b"\x89PNG")


def test_the_same_run_gives_the_same_bytes(drawn: dict[str, Chart], tmp_path: Path) -> None:
    for chart in draw(fakes.summary(), fakes.runs(), tmp_path):
        assert chart.svg.read_bytes() == drawn[chart.name].svg.read_bytes()
        assert chart.png.read_bytes() == drawn[chart.name].png.read_bytes()


def test_a_thread_of_another_program_draws_the_same(drawn: dict[str, Chart], tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        charts = pool.submit(draw, fakes.summary(), fakes.runs(), tmp_path).result()
    assert [chart.png.read_bytes() for chart in charts] == [chart.png.read_bytes() for chart in drawn.values()]


def test_a_png_that_cannot_be_written_is_an_error_of_the_caller(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cost.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"cost\.png"):
        draw(fakes.summary(), fakes.runs(), tmp_path)
    assert capfd.readouterr().err == ""


def test_an_error_before_the_png_files_are_complete_ends_their_process(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="page"), drawing(fakes.summary(), fakes.runs(), tmp_path):
        raise KeyError("page")
    assert multiprocessing.active_children() == []


def test_every_chart_has_words_and_the_values_behind_it(drawn: dict[str, Chart]) -> None:
    for chart in drawn.values():
        assert chart.finding.endswith(".")
        assert chart.alt
        assert chart.table.rows


def test_the_svg_keeps_text_as_text(drawn: dict[str, Chart]) -> None:
    words = "".join(ET.parse(drawn["outcomes"].svg).getroot().itertext())  # noqa: S314 - a file that this test wrote
    assert "67 lost of 200" in words


@pytest.mark.parametrize("arms", [("control",), ("fault",)])
def test_a_single_arm_is_drawn(arms: Sequence[str], tmp_path: Path) -> None:
    charts = by_name(draw(fakes.summary(arms=arms), fakes.runs(arms=arms), tmp_path))
    assert ("losses" in charts) == ("fault" in arms)
    if arms == ("control",):
        assert "No fault" in charts["timeline"].finding


def test_an_arm_without_requests_is_drawn(tmp_path: Path) -> None:
    charts = by_name(draw(fakes.summary(), [fakes.empty(arm) for arm in fakes.runs()], tmp_path))
    assert "outcomes" not in charts
    assert "Too few requests" in charts["spectrum"].finding


def test_a_summary_without_arms_draws_nothing(tmp_path: Path) -> None:
    assert draw(fakes.summary(arms=()), [], tmp_path) == ()


def test_unmeasured_figures_are_drawn_as_unmeasured(tmp_path: Path) -> None:
    whole = fakes.summary(fakes.TRIO[:1], ("control",))
    arm = whole.designs["sticky"].arms["control"]
    none = replace(
        arm.resources, replica_cpu=None, balancer_cpu=None, store_cpu=None, memory_mb=None, cpu_ms_per_request=None
    )
    arm = replace(arm, resources=none, bytes=replace(arm.bytes, request_mean=None, response_mean=None),
                  spread=replace(arm.spread, per_replica={}, max_over_mean=None, cv=None))  # fmt: skip
    summary = replace(whole, designs={"sticky": replace(whole.designs["sticky"], arms={"control": arm})})
    charts = by_name(draw(summary, fakes.runs(fakes.TRIO[:1], ("control",)), tmp_path))
    assert charts["cost"].finding == "No cost was measured."
    assert charts["spread"].finding == "No spread was measured."
    assert charts["cost"].table.rows == (("sticky", None, None, None, None, None, None),)


def test_twelve_designs_with_long_names_can_be_distinguished(tmp_path: Path) -> None:
    many = [fakes.Fake(f"a_design_with_a_really_long_name_{index}", lost=index, requests=300) for index in range(12)]
    charts = by_name(draw(fakes.summary(many), fakes.runs(many), tmp_path))
    words = "".join(ET.parse(charts["losses"].svg).getroot().itertext())  # noqa: S314 - a file that this test wrote
    assert all(style.short(fake.name) in words for fake in many)
    assert len({style.short(fake.name) for fake in many}) == 12
    assert len({style.look(index) for index in range(12)}) == 12


def test_a_name_with_markup_or_mathematics_is_drawn_literally(tmp_path: Path) -> None:
    name = "$x<script>$"
    charts = by_name(draw(fakes.summary([fakes.Fake(name)]), fakes.runs([fakes.Fake(name)]), tmp_path))
    assert "<script" not in charts["losses"].svg.read_text()
    assert f"{name}: 0" in "".join(ET.parse(charts["losses"].svg).getroot().itertext())  # noqa: S314 - a file that this test wrote


def row(fault: FaultFigures | None, lost_share: float = 0.5) -> timeline.TimelineRow:
    start = np.arange(0, 20_000, 5.0)
    outcome = np.where((start >= 8000) & (start < 8250) & (start % 10 < 10 * lost_share), 1, 0)
    arm = replace(fakes.runs()[0], requests=fakes.table(start, 1.0, outcome=outcome))
    return timeline.TimelineRow(windows(measured(arm)), (fault,) if fault else (), style.look(0))


def test_the_timeline_compares_the_worst_window_with_the_time_before() -> None:
    fault = FaultFigures("kill", "r1", 8.0, 8.0, 14.0, {}, 0.2, 1.5)
    assert row(fault).lowest == pytest.approx(0.5, abs=0.02)
    assert timeline.finding([row(fault)]) == (
        "In the worst 250 ms after the fault, sticky gave 50 % of its usual correct replies "
        "(back to normal after 1.5 s)."
    )


def test_a_fault_without_evidence_is_not_mentioned() -> None:
    fault = FaultFigures("kill", "r1", 8.0, None, None, {}, None, None)
    assert timeline.finding([row(fault)]).startswith("No fault was in effect")


def test_the_table_of_a_long_timeline_is_short_and_keeps_every_error() -> None:
    long = replace(fakes.runs()[1], duration=600.0)
    folded = windows(measured(long))
    rows = timeline.drawing([timeline.TimelineRow(folded, (), style.look(0))]).table.rows
    assert len(rows) <= 1000
    assert sum(int(line[4] or 0) for line in rows) == folded.errors.sum()


@pytest.mark.parametrize(("seconds", "width"), [(5.0, 0.25), (100.0, 0.25), (101.0, 0.5), (600.0, 1.5)])
def test_windows_widen_with_the_length_of_the_run(seconds: float, width: float) -> None:
    assert timeline.window_width(seconds) == width


@pytest.mark.parametrize(
    ("fault", "seconds", "stretch"),
    [
        (FaultFigures("kill", "r1", 99.9, 100.0, 104.0, {}, 1.0, 2.5), 600.0, (95.0, 109.0)),
        (FaultFigures("kill", "r1", 99.9, 100.0, 104.0, {}, 1.0, 20.0), 600.0, (95.0, 125.0)),
        (FaultFigures("kill", "r1", 99.9, 100.0, 400.0, {}, 1.0, 2.0), 600.0, (95.0, 155.0)),
        (FaultFigures("kill", "r1", 7.9, 8.0, 14.0, {}, 1.0, 2.5), 18.0, None),
        (FaultFigures("kill", "r1", 99.9, None, None, {}, None, None), 600.0, None),
    ],
    ids=["healed", "slow to recover", "long", "short run", "no evidence"],
)
def test_a_close_up_shows_the_faults_of_a_much_longer_run(
    fault: FaultFigures, seconds: float, stretch: tuple[float, float] | None
) -> None:
    assert timeline.close_up([fault], seconds) == stretch


def test_a_long_run_has_a_close_up_of_its_fault_in_windows_of_a_quarter_second(tmp_path: Path) -> None:
    long = [replace(arm, duration=600.0) for arm in fakes.runs(fakes.TRIO[:1])]
    charts = by_name(draw(fakes.summary(fakes.TRIO[:1]), long, tmp_path))
    starts = [float(line[1] or 0) for line in charts["failover"].table.rows]
    assert starts[0] == fakes.EFFECTIVE - 5
    assert set(np.diff(starts)) == {0.25}
    assert "In the worst 250 ms" in charts["failover"].finding
    assert "In the worst 1.5 s" in charts["timeline"].finding


def test_the_spectrum_has_exact_percentiles() -> None:
    latencies = spectrum.Spectrum.of("one", "control", np.arange(1, 10_001, dtype=np.int64)[::-1] * 1_000_000)
    assert latencies.at(50.0) == 5000.0
    assert latencies.at(99.0) == 9900.0
    assert latencies.at(99.9) == 9990.0


def test_the_spectrum_stops_where_fewer_than_ten_samples_lie_above() -> None:
    latencies = spectrum.Spectrum.of("one", "control", np.arange(1000, dtype=np.int64) * 1_000_000)
    assert latencies.at(99.0) is not None
    assert latencies.at(99.9) is None
    x, y = latencies.curve()
    assert x[-1] == pytest.approx(100)
    assert (latencies.ordered / 1e6 > y[-1]).sum() >= 10


@pytest.mark.parametrize("size", [0, 1, 10])
def test_a_spectrum_of_hardly_any_samples_has_no_curve(size: int) -> None:
    assert spectrum.Spectrum.of("one", "control", np.ones(size, dtype=np.int64)).curve()[0].size == 0


def test_the_spectrum_names_where_the_fault_cost_most_and_least() -> None:
    def flat(design: str, arm: str, ms: int) -> spectrum.Spectrum:
        return spectrum.Spectrum.of(design, arm, np.full(2000, ms * 1_000_000, dtype=np.int64))

    spectra = [flat("a", "control", 10), flat("a", "fault", 20), flat("b", "control", 10), flat("b", "fault", 90)]
    assert spectrum.finding(spectra) == (
        "One request in 100 takes longer than this (p99): with the fault it changed most in b from 10 ms to 90 ms, "
        "least in a from 10 ms to 20 ms."
    )


def test_each_session_is_counted_once_by_the_gravest_thing_that_happened_to_it() -> None:
    both = fakes.judgement(1, (Loss(5, "a", "b", "x", "y", 1),), outcome=SessionOutcome.LEAKED)
    words = ("leaked", "rolled_back", "lost_writes", "stale", "duplicated", "forced_login", "unexplained", "kept")
    others = [fakes.judgement(session, outcome=SessionOutcome(word)) for session, word in enumerate(words, 2)]
    arm = outcomes.count_outcomes("one", "fault", [both, *others], None)
    assert dict(zip((band.name for band in outcomes.BANDS), arm.counts, strict=True)) == {
        "lost": 1, "rolled back or stale": 3, "leaked": 1, "duplicated": 1, "forced to log in": 1, "unexplained": 1,
        "kept": 1,
    }  # fmt: skip


def test_chart_and_table_count_the_same_sessions() -> None:
    """Several writers of a session are one session; an unknown session counts only if a loss is proven of it."""
    mine, lost = fakes.judgement(1), fakes.judgement(1, (Loss(5, "a", "b", "x", "y", 1),))
    dark = replace(fakes.judgement(2, (Loss(5, "a", "b", "x", "y", 1),), outcome=SessionOutcome.UNKNOWN), unknown=True)
    silent = replace(fakes.judgement(4, outcome=SessionOutcome.UNKNOWN), unknown=True)
    asked = [RequestRow(session, 1.0) for session in (1, 2, 3, 4)]
    arm = observed(asked, judgements=(mine, lost, dark, fakes.judgement(3), silent))
    sessions = fold(arm).sessions
    bar = outcomes.count_outcomes("one", "fault", arm.judgements, sessions)
    assert (sessions.judged, sessions.proven, sessions.unknown) == (2, 1, 2)
    assert (bar.judged, bar.lost, bar.unknown) == (sessions.known, sessions.lost, 1) == (3, 2, 1)
    assert "2 of 3" in outcomes.finding([bar])
    gone = losses.Losses.of("one", arm.judgements, (), style.look(0))
    assert (gone.judged, gone.times.size) == (3, 2)


def test_no_name_lies_under_the_diamond_at_zero() -> None:
    arms = [
        outcomes.Outcomes(design, arm, (0,) * (len(outcomes.BANDS) - 1) + (200,), 0, None, 0)
        for design in ("stateless", "a_design_with_quite_a_long_name")
        for arm in ("control", "fault")
    ]
    drawn = outcomes.figure(arms)
    drawn.canvas.draw()
    (axes,) = drawn.axes
    names = [label.get_window_extent() for label in axes.get_yticklabels()]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert len(diamonds) == len(names) == 4
    for diamond, name in zip(diamonds, names, strict=True):
        half = (
            (diamond.get_markersize() / 2**0.5 + diamond.get_markeredgewidth()) * drawn.dpi / 72
        )  # it stands on a tip
        assert name.x0 >= 0 and name.x1 < axes.bbox.x0 - half


def test_the_outcomes_say_what_was_lost_and_what_was_predicted(drawn: dict[str, Chart]) -> None:
    assert drawn["outcomes"].finding == (
        "With the fault sticky lost 67 of 200 (33.5 %), predicted 67; stateless and hybrid lost none of 400 sessions. "
        "Without it no session was harmed: 0 of 600 (95 % upper bound 0.5 %)."
    )


def test_the_finding_names_a_harmed_control() -> None:
    harmed = outcomes.count_outcomes(
        "one", "control", [fakes.judgement(1, outcome=SessionOutcome.STALE), fakes.judgement(2)], None
    )
    assert "Without it some sessions were harmed: one 1 rolled back or stale" in outcomes.finding([harmed])


def losing(*seconds: float, healed: float | None = 14.0) -> losses.Losses:
    judged: list[SessionVerdict] = [
        fakes.judgement(index, (Loss(int(t * 1e9), "a", "b", "x", "y", 1),)) for index, t in enumerate(seconds)
    ]
    fault = FaultFigures("kill", "r1", 8.0, 8.0, healed, {}, None, None)
    return losses.Losses.of("sticky", judged, (fault,), style.look(0))


def test_losses_after_the_fault_had_healed_are_counted_separately() -> None:
    assert losses.finding([losing(9, 8.5, 15)]) == (
        "sticky lost 3 of 3 sessions, between 8.5 s and 15 s, 1 of them after the fault had healed."
    )
    assert losses.drawing([losing(9, 8.5)], 20.0).table.rows == (("sticky", 8.5, 1), ("sticky", 9.0, 2))


def test_no_loss_comes_with_its_sample_size() -> None:
    nothing = losses.Losses.of("sticky", [fakes.judgement(1), fakes.judgement(2)], (), style.look(0))
    assert losses.finding([nothing]) == "None of 2 sessions was lost."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (2.1, "2.1"),
        (0.0451, "0.0451"),
        (99.96, "100"),
        (1204.4, "1,204"),
        (4.97e-5, "0.0000497"),
    ],
)
def test_figures_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("part", "whole", "text"), [(67, 200, "33.5 %"), (1, 48_210, "0.00207 %"), (0, 0, "-")])
def test_a_share_is_never_rounded_to_nothing(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


def test_a_share_short_of_all_is_not_rounded_to_all() -> None:
    assert share(99_999, 100_000) != share(100_000, 100_000)


def test_a_zero_comes_with_its_sample_size_and_upper_bound() -> None:
    assert format_ratio(0, 48_210) == "0 of 48,210 (95 % upper bound 0.0062 %)"
    assert format_ratio(0, 0) == "none seen"


@pytest.mark.parametrize("n", [1, 20, 48_210])
def test_at_the_upper_bound_no_event_happens_in_one_sample_of_twenty(n: int) -> None:
    assert (1 - upper_bound_of_none(n)) ** n == pytest.approx(0.05)


def test_long_lists_are_cut() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(list("abcdefg"), 3)] == [
        "none", "a", "a and b", "a, b and 5 more",
    ]  # fmt: skip


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_text_has_enough_contrast_on_paper_and_on_the_shade_of_a_fault() -> None:
    for text, ground in itertools.product((style.INK, style.MUTED), (style.PAPER, style.SHADE)):
        light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_page_can_replace_every_colour_of_a_chart_by_name(drawn: dict[str, Chart]) -> None:
    for chart in drawn.values():
        used = set(re.findall(r"(?:: |=\")(#[0-9a-f]{6})\b", chart.svg.read_text()))
        assert used - {"#000000"} <= set(style.NAMED.values())


def test_a_session_that_lost_its_state_twice_is_one_lost_session() -> None:
    twice = fakes.judgement(1, tuple(Loss(t * 10**9, "a", "b", "x", "y", 1) for t in (9, 12)))
    assert losses.Losses.of("sticky", [twice, fakes.judgement(2)], (), style.look(0)).times.tolist() == [9.0]


def test_controls_do_not_hide_the_losses_of_the_others(tmp_path: Path) -> None:
    both = [fakes.TRIO[0], fakes.Fake("broken", lost=200)]
    charts = draw(fakes.summary(both), fakes.runs(both), tmp_path, frozenset({"broken"}))
    drawn = {chart.name: chart for chart in charts}["losses"]
    assert {row[0] for row in drawn.table.rows} == {"sticky"}
    assert drawn.finding.endswith("Left out, because they must fail: broken.")


def test_a_run_of_controls_alone_shows_them(tmp_path: Path) -> None:
    charts = draw(fakes.summary(fakes.TRIO[:1]), fakes.runs(fakes.TRIO[:1]), tmp_path, frozenset({"sticky"}))
    drawn = {chart.name: chart for chart in charts}["losses"]
    assert {row[0] for row in drawn.table.rows} == {"sticky"} and "Left out" not in drawn.finding


@pytest.mark.parametrize("name", ["timeline", "spread", "cost"])
def test_the_pieces_of_a_chart_cover_it_without_overlap(drawn: dict[str, Chart], name: str) -> None:
    pieces = drawn[name].pieces
    assert sum(piece.width * piece.height for piece in pieces) == pytest.approx(1.0)
    assert all(piece.x >= 0 and piece.x + piece.width <= 1 + 1e-9 for piece in pieces)


def test_the_panels_of_a_timeline_belong_to_their_designs(drawn: dict[str, Chart]) -> None:
    designs = [piece.design for piece in drawn["timeline"].pieces]
    assert designs == ["", *(fake.name for fake in fakes.TRIO for _ in range(2))]


def test_the_values_of_a_design_are_marked_as_its_own(drawn: dict[str, Chart]) -> None:
    names = {fake.name for fake in fakes.TRIO}
    for name in ("timeline", "outcomes", "losses", "spectrum", "spread", "cost"):
        assert {tooltip.design for tooltip in drawn[name].tooltips} <= names, name


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(3.7, 12.0, ["5", "10"]), (0.8, 90.0, ["1", "2", "5", "10", "20", "50", "100"])]
)
def test_a_logarithmic_axis_has_plain_ticks(low: float, high: float, ticks: list[str]) -> None:
    _, [[axes]] = style.panels("title", (1, 1), 1.0, style.Frame(0.5, 0.5, 0.5, 0.5))
    style.log_axis(axes, low, high)
    assert [label.get_text() for label in axes.get_yticklabels()] == ticks
