import pytest

from harness.oracle.page import OwnLines, VisitCounter, learn_session_mark, numbers


def test_numbers_stand_by_themselves() -> None:
    assert numbers('<h1 id="x7">3 of 12</h1> a1 2.5 v3') == [3, 12]


@pytest.mark.parametrize("first", [0, 1])
def test_a_number_that_rises_with_each_visit_is_a_count(first: int) -> None:
    pages = [f"<p>at {1000 + 7 * i}</p><p>visits: {first + i}</p>" for i in range(4)]
    found = learn_session_mark(*pages[:3])
    assert found == VisitCounter(1)
    assert found.count(pages[3]) == first + 3
    assert found.count("gone") == 0


def test_a_number_that_strangers_share_is_none() -> None:
    assert learn_session_mark("hits 812", "hits 813", "hits 814") is None
    assert learn_session_mark("visits 1", "visits 2", "visits 2") is None


def test_lines_that_only_the_sessions_own_pages_have_tell_it() -> None:
    found = learn_session_mark("<p>Welcome</p><i>", "<p>Hello u7</p><i>tok-a</i>", "<p>Hello u7</p><i>tok-b</i>")
    assert found == OwnLines(frozenset({"Hello u7", "/i"}))
    assert found.holds("<b>new</b><p>Hello u7</p></i>")
    assert not found.holds("<p>Welcome</p>")


def test_a_page_that_is_the_same_for_all_tells_nothing() -> None:
    assert learn_session_mark("<p>same</p>", "<p>same</p>", "<p>same</p>") is None
