"""Sagas, judged by the effect journal alone: what the outside world has seen of each order in the end."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from harness.observations.events import Effect
from harness.results.summary import Sagas

#: Each deed that can be undone, and what undoes it. The last deed, ``ship``, ends it well.
UNDOES = {"reserve": "release", "pay": "refund"}
LAST = "ship"
DEEDS = frozenset({*UNDOES, *UNDOES.values(), LAST})


def compute_saga_figures(effects: Sequence[Effect]) -> Sagas | None:
    """What became of each order; None where the journal knows of none."""
    deeds = sorted((effect for effect in effects if effect.what in DEEDS), key=lambda effect: effect.op)
    orders = [list(order) for _, order in groupby(deeds, key=lambda effect: effect.op)]
    if not orders:
        return None
    ends = [_end(order) for order in orders]
    resumed = [len({deed.boot for deed in order}) > 1 for order in orders]
    left = [
        _last_of_the_first(order)
        for order, end, again in zip(orders, ends, resumed, strict=True)
        if again or end == "half_done"
    ]
    return Sagas(
        begun=len(orders),
        shipped=ends.count("shipped"),
        undone=ends.count("undone"),
        half_done=ends.count("half_done"),
        repeated=sum(len({deed.what for deed in order}) < len(order) for order in orders),
        resumed=sum(resumed),
        left_after=dict(sorted(Counter(left).items())),
    )


def _end(order: Sequence[Effect]) -> str:
    """Shipped: each deed done and none undone. Undone: not shipped, and each deed undone."""
    done = {deed.what for deed in order}
    if LAST in done:
        return "shipped" if done == {*UNDOES, LAST} else "half_done"
    return "undone" if all((deed in done) == (undo in done) for deed, undo in UNDOES.items()) else "half_done"


def _last_of_the_first(order: Sequence[Effect]) -> str:
    return [deed.what for deed in order if deed.boot == order[0].boot][-1]
