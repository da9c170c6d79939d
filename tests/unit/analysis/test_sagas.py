from harness.analysis.metrics.sagas import compute_saga_figures
from harness.observations.events import Effect


def steps(op: int, *whats: str, boot: str = "b1") -> list[Effect]:
    return [Effect(op, what, boot) for what in whats]


def test_a_journal_without_sagas_has_none_to_judge() -> None:
    assert compute_saga_figures([]) is None
    assert compute_saga_figures(steps(1, "checkout", "order")) is None


def test_an_order_paid_and_shipped_or_wholly_undone_has_ended() -> None:
    sagas = compute_saga_figures(
        [
            *steps(1, "reserve", "pay", "ship"),
            *steps(2, "reserve", "release"),
            *steps(3, "reserve", "pay", "refund", "release"),
        ]
    )
    assert sagas is not None
    assert (sagas.begun, sagas.shipped, sagas.undone, sagas.half_done) == (3, 1, 2, 0)
    assert (sagas.repeated, sagas.resumed, sagas.left_after) == (0, 0, {})


def test_any_other_order_is_half_done_and_counted_under_its_last_step() -> None:
    halves = (
        ("reserve",),
        ("reserve", "pay"),
        ("reserve", "pay", "refund"),
        ("reserve", "pay", "release"),
        ("reserve", "ship"),
        ("reserve", "pay", "ship", "refund"),
    )
    sagas = compute_saga_figures([step for op, half in enumerate(halves) for step in steps(op, *half)])
    assert sagas is not None
    assert (sagas.half_done, sagas.shipped, sagas.undone) == (6, 0, 0)
    assert sagas.left_after == {"reserve": 1, "pay": 1, "refund": 2, "release": 1, "ship": 1}


def test_a_step_done_twice_is_counted() -> None:
    sagas = compute_saga_figures(steps(1, "reserve", "pay", "pay", "ship"))
    assert sagas is not None
    assert (sagas.repeated, sagas.shipped) == (1, 1)


def test_a_saga_brought_to_its_end_by_another_start_was_resumed_and_is_counted_where_it_was_left() -> None:
    sagas = compute_saga_figures(
        [
            *steps(1, "reserve", "pay"),
            *steps(2, "reserve"),
            *steps(1, "ship", boot="b2"),
            *steps(2, "release", boot="b2"),
        ]
    )
    assert sagas is not None
    assert (sagas.shipped, sagas.undone, sagas.resumed) == (1, 1, 2)
    assert sagas.left_after == {"pay": 1, "reserve": 1}
