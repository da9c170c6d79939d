import inspect
from typing import Any
from unittest.mock import MagicMock

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.runner.composite_progress import CompositeProgress
from harness.runner.progress import Progress

CALLS: dict[str, tuple[Any, ...]] = {
    "say": ("hello",),
    "stage": ("the analysis",),
    "arm_started": ("sticky", "fault", 0, 2, 20.0),
    "trial_started": ("sticky, 2 replicas", 0, 2, 5.0, 60.0),
    "snapshot": (Snapshot(1, 0.2),),
    "event": (Event(1.0, "fault_effective", "r1"),),
    "arm_ended": ("over",),
}


def test_both_views_get_every_call() -> None:
    first, second = MagicMock(spec=Progress), MagicMock(spec=Progress)
    with CompositeProgress([first, second]) as both:
        for name, arguments in CALLS.items():
            getattr(both, name)(*arguments)
    for view in (first, second):
        for name, arguments in CALLS.items():
            assert getattr(view, name).call_args.args == arguments
    calls = {name for name, member in vars(Progress).items() if inspect.isfunction(member) and name[0] != "_"}
    assert calls == {*CALLS, "announce"}, "what is announced is said"
