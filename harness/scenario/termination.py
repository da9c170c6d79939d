"""How a pod ends."""

from dataclasses import dataclass

from harness.common.durations import parse_seconds
from harness.scenario.checks import check_types, require


@dataclass(frozen=True)
class Termination:
    """What Kubernetes does between the request to end a pod and its SIGKILL, ``grace`` later.

    Only after ``pre_stop`` does the pod get SIGTERM. Meanwhile it serves, and its endpoint is removed everywhere.
    """

    grace: str = "30s"
    pre_stop: str = "0s"

    def __post_init__(self) -> None:
        check_types(self)
        grace, pre_stop = parse_seconds(self.grace), parse_seconds(self.pre_stop)
        require(
            grace.is_integer() and pre_stop.is_integer() and 0 <= pre_stop < grace,
            f"a pod cannot wait {self.pre_stop} of {self.grace} before SIGTERM",
            'whole seconds, and pre_stop below grace: Termination(grace="30s", pre_stop="5s")',
        )

    def describe(self) -> dict[str, str | int | float]:
        """As plain values; empty if it is what Kubernetes does by default."""
        if self == DEFAULT_TERMINATION:
            return {}
        return {"grace_s": parse_seconds(self.grace), "pre_stop_s": parse_seconds(self.pre_stop)}


DEFAULT_TERMINATION = Termination()
