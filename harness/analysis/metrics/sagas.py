"""Sagas, judged by the effect journal alone: what the outside world has seen of each order in the end."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from harness.observations.events import Effect
from harness.results.summary import Sagas

#: Each step that can be undone, and the step that compensates for it.
COMPENSATIONS = {"reserve": "release", "pay": "refund"}
#: The last step, after which an order has ended well.
LAST_STEP = "ship"
STEPS = frozenset({*COMPENSATIONS, *COMPENSATIONS.values(), LAST_STEP})

Order = Sequence[Effect]


def compute_saga_figures(effects: Sequence[Effect]) -> Sagas | None:
    """How each order ended; None if the journal knows of none."""
    steps = sorted((effect for effect in effects if effect.what in STEPS), key=lambda step: step.op)
    orders = [list(order) for _, order in groupby(steps, key=lambda step: step.op)]
    if not orders:
        return None
    ends = Counter(_classify_end(order) for order in orders)
    interrupted = [order for order in orders if _was_resumed(order) or _classify_end(order) == "half_done"]
    # The last step of the start that began the order.
    last_steps = Counter([step.what for step in order if step.boot == order[0].boot][-1] for order in interrupted)
    return Sagas(
        begun=len(orders),
        shipped=ends["shipped"],
        undone=ends["undone"],
        half_done=ends["half_done"],
        repeated=sum(len({step.what for step in order}) < len(order) for order in orders),
        resumed=sum(map(_was_resumed, orders)),
        left_after=dict(sorted(last_steps.items())),
    )


def _classify_end(order: Order) -> str:
    """Shipped: each step done and none undone. Undone: not shipped, and each step undone."""
    done = {step.what for step in order}
    if LAST_STEP in done:
        return "shipped" if done == {*COMPENSATIONS, LAST_STEP} else "half_done"
    undone = all((step in done) == (undo in done) for step, undo in COMPENSATIONS.items())
    return "undone" if undone else "half_done"


def _was_resumed(order: Order) -> bool:
    """Whether another start of a replica continued it."""
    return len({step.boot for step in order}) > 1
