from harness.analysis.metrics.sagas import compute_saga_figures
from harness.observations.events import Effect


def steps(op: int, *whats: str, boot: str = "b1") -> list[Effect]:
    return [Effect(op, what, boot) for what in whats]


def test_a_journal_without_sagas_has_none_to_judge() -> None:
    assert compute_saga_figures([]) is None
    assert compute_saga_figures(steps(1, "checkout", "order")) is None


def test_what_is_paid_and_shipped_or_wholly_undone_is_at_its_end() -> None:
    found = compute_saga_figures(
        [
            *steps(1, "reserve", "pay", "ship"),
            *steps(2, "reserve", "release"),
            *steps(3, "reserve", "pay", "refund", "release"),
        ]
    )
    assert found is not None
    assert (found.begun, found.shipped, found.undone, found.half_done) == (3, 1, 2, 0)
    assert (found.repeated, found.resumed, found.left_after) == (0, 0, {})


def test_whatever_is_neither_is_half_done_and_counted_under_its_last_step() -> None:
    halves = (
        ("reserve",),
        ("reserve", "pay"),
        ("reserve", "pay", "refund"),
        ("reserve", "pay", "release"),
        ("reserve", "ship"),
        ("reserve", "pay", "ship", "refund"),
    )
    found = compute_saga_figures([step for op, half in enumerate(halves) for step in steps(op, *half)])
    assert found is not None
    assert (found.half_done, found.shipped, found.undone) == (6, 0, 0)
    assert found.left_after == {"reserve": 1, "pay": 1, "refund": 2, "release": 1, "ship": 1}


def test_a_step_done_twice_is_counted() -> None:
    found = compute_saga_figures(steps(1, "reserve", "pay", "pay", "ship"))
    assert found is not None
    assert (found.repeated, found.shipped) == (1, 1)


def test_a_saga_brought_to_its_end_by_another_start_was_resumed_and_is_counted_where_it_was_left() -> None:
    found = compute_saga_figures(
        [
            *steps(1, "reserve", "pay"),
            *steps(2, "reserve"),
            *steps(1, "ship", boot="b2"),
            *steps(2, "release", boot="b2"),
        ]
    )
    assert found is not None
    assert (found.shipped, found.undone, found.resumed) == (1, 1, 2)
    assert found.left_after == {"pay": 1, "reserve": 1}
