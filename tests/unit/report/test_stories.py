import pytest

from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import Loss
from harness.report.stories import collect
from harness.results.arm_files import ArmObservations
from tests.support import charts as fakes


def arm(design: str, lost: int, name: str = "fault", rolled_back: int = 0) -> ArmObservations:
    """An arm of ten sessions with three requests each, of which some were lost and the next ones rolled back."""
    judged = [fakes.judgement(n, (Loss(9 * 10**9, "b1", "b2", "x", "y", 3),) if n < lost else ()) for n in range(10)]
    for n in range(lost, lost + rolled_back):
        judged[n] = fakes.judgement(n, outcome=SessionOutcome.ROLLED_BACK)
    requests = fakes.table([100 * n for n in range(30)], 4.0)
    requests["session"] = [n % 10 for n in range(30)]
    for column, value in (
        ("name", "GET /cart"),
        ("status", 200),
        ("boot", "abcdef0123"),
        ("op", 0),
        ("reconnected", 0),
    ):
        requests[column] = value
    return ArmObservations(design, name, requests, (), (), tuple(judged), warmup=0.0, duration=20.0)


def test_each_lost_session_has_its_story_with_its_requests_and_why() -> None:
    (stories,) = collect([arm("sticky", 3)])
    assert (stories.design, stories.arm, stories.sessions) == ("sticky", "fault", 3)
    assert [story.session for story in stories.stories] == [0, 1, 2]
    story = stories.stories[1]
    assert story.title.startswith("session 1: lost")
    assert sum("GET /cart" in line for line in story.lines) == 3
    assert any("was gone at 9.000 s" in why for why in story.why)


def test_a_kept_session_has_none() -> None:
    assert collect([arm("hybrid", 0)]) == ()


def test_a_page_has_room_for_so_many_and_a_rare_outcome_is_among_them() -> None:
    (stories,) = collect([arm("sticky", 8, rolled_back=1)], most=2)
    assert stories.sessions == 9
    assert {story.title.split(",")[0] for story in stories.stories} == {"session 0: lost", "session 8: rolled back"}


def test_controls_that_must_fail_come_last_and_get_what_room_is_left() -> None:
    found = collect([arm("broken", 10), arm("sticky", 4)], frozenset({"broken"}), most=6)
    assert [(each.design, len(each.stories)) for each in found] == [("sticky", 4), ("broken", 2)]


def test_long_stories_leave_out_what_says_nothing() -> None:
    long = arm("sticky", 1)
    long.requests["session"] = 0
    (stories,) = collect([long])
    lines = stories.stories[0].lines
    assert len(lines) < 12
    assert any(line.strip() == "... 24 more" for line in lines)


@pytest.mark.parametrize("name", ["control", "fault"])
def test_the_arm_with_the_fault_comes_first(name: str) -> None:
    arms = [arm("sticky", 1, name), arm("sticky", 1, "control" if name == "fault" else "fault")]
    assert [each.arm for each in collect(arms)] == ["fault", "control"]
