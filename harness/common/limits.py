"""What a replica may use of the machine, on a backend that can enforce it."""

import re
from dataclasses import dataclass

from harness.common.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """``cpus`` is a number of cores, such as 0.5; ``memory`` a size, such as ``256m``. None: no limit."""

    cpus: float | None = None
    memory: str | None = None

    def __post_init__(self) -> None:
        if self.cpus is not None and self.cpus < 0.01:
            raise UsageError(f"a limit of {self.cpus} cores is too small", "0.01 or more")
        if self.memory is not None and not re.fullmatch(r"[1-9]\d*[kmg]", self.memory):
            raise UsageError(f"{self.memory!r} is not a size of memory", "such as 256m or 1g")

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return self.cpus is not None or self.memory is not None

    def describe(self) -> dict[str, str | int | float]:
        """The limits in plain values; empty where there are none."""
        limits = {"limit_cpus": self.cpus, "limit_memory": self.memory}
        return {name: value for name, value in limits.items() if value is not None}


UNLIMITED = Limits()
