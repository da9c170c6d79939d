import re
from dataclasses import replace
from typing import Any

from harness.report import scoreboard
from harness.results.summary import ArmFigures, Summary
from tests.support import charts as fakes


def with_fault(**figures: Any) -> Summary:
    """A run of one design, whose arm with the fault has these figures."""
    run = fakes.summary([fakes.TRIO[0]], arms=("fault",))
    design = run.designs["sticky"]
    return replace(run, designs={"sticky": replace(design, arms={"fault": replace(design.arms["fault"], **figures)})})


def cells(run: Summary) -> dict[str, str]:
    (score,) = scoreboard.scores(run)
    return dict(zip(scoreboard.COLUMNS, (*score.cells, score.verdict), strict=True))


ARM: ArmFigures = fakes.arm(fakes.TRIO[0], "fault")


def test_a_line_has_what_people_look_for() -> None:
    assert cells(with_fault()) == {
        "design": "sticky",
        "lost/judged": "67/200 33.5%",
        "writes lost": "201 0.42%",
        "errors": "1.3%",
        "req/s": "290",
        "p50 ms": "12",
        "p99 ms": "48",
        "verdict": "pass",
    }


def test_as_text_every_cell_stands_under_its_title() -> None:
    heads, line = scoreboard.lines(with_fault())
    (score,) = scoreboard.scores(with_fault())
    for title, cell in zip(scoreboard.COLUMNS, (*score.cells, score.verdict), strict=True):
        assert line[heads.index(title) :].startswith(cell)


def test_a_zero_comes_with_its_upper_bound() -> None:
    seen = cells(with_fault(sessions=replace(ARM.sessions, lost=0), writes=replace(ARM.writes, lost=0)))
    assert (seen["lost/judged"], seen["writes lost"]) == ("0/200 <1.5%", "0 <0.0062%")


def test_times_that_cannot_be_trusted_are_marked_and_counts_are_not() -> None:
    seen = cells(with_fault(driver=replace(ARM.driver, saturated=True)))
    assert [seen[name] for name in ("req/s", "p50 ms", "p99 ms")] == ["290?", "12?", "48?"]
    assert "?" not in seen["lost/judged"] + seen["errors"]


def test_a_doubtful_p99_is_marked_alone() -> None:
    doubtful = replace(ARM.driver, saturated=False, doubtful=("p99",))
    seen = cells(with_fault(driver=doubtful))
    assert [seen[name] for name in ("req/s", "p50 ms", "p99 ms")] == ["290", "12", "48?"]


def test_a_percentile_that_dropped_arrivals_exceed_is_a_lower_bound() -> None:
    assert cells(with_fault(latency_is_lower_bound=True))["p99 ms"] == ">=48"


def test_a_design_without_measurement_has_dashes() -> None:
    (score,) = scoreboard.scores(fakes.summary([fakes.TRIO[0]], arms=()))
    assert set(score.cells[1:]) == {"-"}


def test_the_note_explains_the_signs_of_the_table_and_repeats_no_figure_of_it() -> None:
    none_lost = {"sessions": replace(ARM.sessions, lost=0), "writes": replace(ARM.writes, lost=0)}
    strained = replace(ARM.driver, saturated=True)
    for figures, explained in (
        ({}, []),
        (none_lost, ["<"]),
        ({"latency_is_lower_bound": True}, [">="]),
        ({**none_lost, "driver": strained}, ["<", "?"]),
    ):
        (note,) = scoreboard.notes(with_fault(**figures))
        assert re.findall(r"With ([<>=?]+),", note) == explained
        assert set(re.findall(r"\d+(?:\.\d+)?", note)) <= {"95"}, "a figure belongs to one line of the table"


def test_harms_besides_losses_are_a_note() -> None:
    *_, harms = scoreboard.notes(with_fault(sessions=replace(ARM.sessions, stale=3, leaked=1)))
    assert harms == "Besides losses: sticky read stale 3 and leaked 1."
    assert len(list(scoreboard.notes(with_fault()))) == 1


def test_a_wide_terminal_also_shows_how_long_the_fault_was_felt() -> None:
    (score,) = scoreboard.scores(fakes.summary([fakes.TRIO[0]]))
    assert dict(zip(scoreboard.MORE_COLUMNS, score.more, strict=True)) == {
        "p99 ctrl": "16",
        "detect s": "1.4",
        "recover s": "2.1",
        "relogin": "0",
    }
