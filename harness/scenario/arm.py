"""Arms: the units of a run."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.workload import Load


@dataclass(frozen=True)
class Arm:
    """A design under a load, with or without its faults."""

    design: Design
    name: str  # fault | control | aa (the control once more, to compare it with itself)
    load: Load
    faults: tuple[At, ...]

    @property
    def seconds(self) -> float:
        """How long the load lasts, warm-up included."""
        return parse_seconds(self.load.duration)

    @property
    def warmup(self) -> float:
        """The seconds at the beginning that are not counted."""
        return parse_seconds(self.load.warmup)
