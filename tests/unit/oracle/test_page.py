import pytest

from harness.oracle.page import OwnLines, VisitCounter, learn_session_mark, numbers


def test_numbers_inside_words_are_left_out() -> None:
    assert numbers('<h1 id="x7">3 of 12</h1> a1 2.5 v3') == [3, 12]


@pytest.mark.parametrize("first", [0, 1])
def test_a_number_that_rises_with_each_visit_is_a_count(first: int) -> None:
    pages = [f"<p>at {1000 + 7 * i}</p><p>visits: {first + i}</p>" for i in range(4)]
    mark = learn_session_mark(*pages[:3])
    assert mark == VisitCounter(1)
    assert mark.count(pages[3]) == first + 3
    assert mark.count("gone") == 0


def test_a_number_that_strangers_share_is_no_count() -> None:
    assert learn_session_mark("hits 812", "hits 813", "hits 814") is None
    assert learn_session_mark("visits 1", "visits 2", "visits 2") is None


def test_lines_that_only_the_sessions_pages_have_mark_it() -> None:
    mark = learn_session_mark("<p>Welcome</p><i>", "<p>Hello u7</p><i>tok-a</i>", "<p>Hello u7</p><i>tok-b</i>")
    assert mark == OwnLines(frozenset({"Hello u7", "/i"}))
    assert mark.holds("<b>new</b><p>Hello u7</p></i>")
    assert not mark.holds("<p>Welcome</p>")


def test_a_page_that_is_the_same_for_all_marks_no_session() -> None:
    assert learn_session_mark("<p>same</p>", "<p>same</p>", "<p>same</p>") is None


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("at 7, and 12.", [7]),
        ("1 2 3", [1, 2, 3]),
        ("v2 3x 4.5 _6", []),
        ("123456789", [123456789]),
        ("1234567890", []),
        ("<b>7</b>", [7]),
    ],
)
def test_whole_numbers_stand_alone(page: str, found: list[int]) -> None:
    assert numbers(page) == found


@pytest.mark.parametrize(
    ("pages", "mark"),
    [
        (("0", "1", "2"), VisitCounter(0)),
        (("1", "2", "3"), VisitCounter(0)),
        (("2", "3", "4"), None),
        (("1", "3", "5"), None),
        (("1", "2", "4"), None),
        (("9 1", "9 2", "9 3"), VisitCounter(1)),
        (("9 9", "9 1", "9 2"), None),
    ],
)
def test_a_count_begins_with_none_or_one_and_rises_by_one(
    pages: tuple[str, str, str], mark: VisitCounter | None
) -> None:
    assert learn_session_mark(*pages) == mark


def test_a_count_is_read_at_its_place() -> None:
    assert VisitCounter(1).count("5 7 9") == 7
    assert VisitCounter(0).count("5") == 5
    assert VisitCounter(1).count("5") == 0


def test_lines_are_parted_by_tags_and_line_ends_and_differ_by_more_than_numbers() -> None:
    mark = learn_session_mark("visit 4\nhi", "visit 5\nhi\n own \n", "visit 6\nhi\nown")
    assert mark == OwnLines(frozenset({"own"}))
    assert mark.holds("<own>") and not mark.holds("x own")
