import pytest

from harness.site.plot import Line, Plot, Shade


def plot(*values: float | None, **more: object) -> Plot:
    line = Line("", [(float(at), value) for at, value in enumerate(values)])
    return Plot("p99", "ms", [line], (0.0, max(1.0, len(values) - 1.0)), **more)  # type: ignore[arg-type]


def test_the_highest_value_is_the_highest_on_the_page_and_zero_is_the_axis() -> None:
    drawn = plot(0.0, 50.0, 100.0)
    assert drawn.y(100) < drawn.y(50) < drawn.y(0)
    assert drawn.y(0) == drawn.height - 26
    assert drawn.x(0) < drawn.x(1) < drawn.x(2) <= drawn.width


def test_ticks_are_round_and_cover_every_value() -> None:
    drawn = plot(3.0, 87.0)
    labels = [float(tick.label) for tick in drawn.y_ticks]
    assert labels == sorted(labels) and labels[0] == 0 and labels[-1] >= 87
    assert all(str(label)[0] in "012468" or label % 5 == 0 for label in labels)


@pytest.mark.parametrize(
    ("values", "moves"), [((1.0, 2.0, 3.0), "MLL"), ((1.0, None, 3.0, 4.0), "MML"), ((None, None), "")]
)
def test_a_gap_interrupts_the_line(values: tuple[float | None, ...], moves: str) -> None:
    drawn = plot(*values)
    assert "".join(letter for letter in drawn.path(drawn.lines[0]) if letter.isalpha()) == moves


def test_a_line_of_steps_holds_a_value_until_the_next() -> None:
    drawn = Plot("up", "", [Line("", [(0.0, 3.0), (1.0, 2.0)], steps=True)], (0.0, 1.0))
    assert drawn.path(drawn.lines[0]) == f"M{drawn.x(0)} {drawn.y(3)} H{drawn.x(1)} V{drawn.y(2)}"


def test_a_point_without_neighbours_is_drawn_as_a_dot() -> None:
    drawn = plot(1.0, 2.0, None, 7.0)
    assert list(drawn.dots(drawn.lines[0])) == [(drawn.x(3), drawn.y(7))]
    marked = plot(1.0, 2.0, marks=True)
    assert len(list(marked.dots(marked.lines[0]))) == 2


def test_a_plot_without_values_can_be_drawn() -> None:
    drawn = Plot("p99", "ms", [Line("", [])], (0.0, 0.0))
    assert drawn.y_ticks[0].at == drawn.y(0)
    assert "latest -" in drawn.alt


def test_its_description_names_the_latest_value_and_the_shades() -> None:
    drawn = plot(1.0, 12.0, shades=[Shade(8.0, 14.0, "kill of r1")])
    assert drawn.alt == "p99: latest 12 ms; kill of r1, 8.0 s to 14.0 s"


def test_the_labels_of_shades_lie_above_every_line_and_inside_the_picture() -> None:
    shades = [Shade(0.0, 1.0, "pause of r0"), Shade(2.5, 3.5, "kill of r1"), Shade(3.5, 4.0, "restart of the store")]
    drawn = plot(0.0, 9.0, 0.0, 9.0, 0.0, shades=shades)
    labels = list(drawn.labels)
    assert all(0 < label.y < drawn.y(drawn.y_top) for label in labels)
    assert len({label.y for label in labels}) == 3, "where shades overlap, their labels do not"
    assert [(label.x, label.anchor) for label in labels[:2]] == [(drawn.x(0.0), "start"), (drawn.x(2.5), "start")]
    assert (labels[2].x, labels[2].anchor) == (drawn.x(4.0), "end"), "it would reach over the right edge"
    assert plot(1.0).top < drawn.top, "without a shade there is no room for labels"
