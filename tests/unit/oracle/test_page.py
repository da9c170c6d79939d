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
