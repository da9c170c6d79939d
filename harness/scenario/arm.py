"""TODO: harness.scenario.arm."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.workload import Load


@dataclass(frozen=True)
class Arm:
    """A design with or without its faults: what is run once."""

    design: Design
    name: str  # fault | control | aa (the control again, to be compared with itself)
    load: Load
    faults: tuple[At, ...]

    @property
    def seconds(self) -> float:
        """How long the load lasts, warm-up included."""
        return parse_seconds(self.load.duration)

    @property
    def warmup(self) -> float:
        """The seconds at the beginning that do not count."""
        return parse_seconds(self.load.warmup)
