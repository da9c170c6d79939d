"""What this machine can do at most, so that a run that asks for more is refused before anything starts."""

import os
import resource
from dataclasses import dataclass
from typing import Self

import psutil

from harness.common.errors import UsageError
from harness.scenario.driver_processes import DriverProcesses
from harness.scenario.rates import peak
from harness.scenario.scenario import Scenario

#: Measured on built-in replicas and on a load of idle sessions, rounded down: with less than this nothing works.
_REPLICA_BYTES = 20 << 20
_SESSION_BYTES = 10 << 10
#: Requests per second that one load process cannot exceed on any machine of today.
_RATE_PER_PROCESS = 100_000
_PROCESSES_PER_CORE = 8
#: Descriptors of a load process that are not connections.
_OTHER_DESCRIPTORS = 64
_MAX_ELSEWHERE = 1000


@dataclass(frozen=True)
class MachineLimits:
    """The figures of a machine that limit a run."""

    cores: int
    memory: int  # bytes, in all
    descriptors: int  # that one process can have open

    @classmethod
    def read(cls) -> Self:
        """Those of this machine."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        descriptors = (1 << 20) if hard == resource.RLIM_INFINITY else hard
        return cls(os.cpu_count() or 1, psutil.virtual_memory().total, descriptors)

    @property
    def replicas(self) -> int:
        """How many replicas fit into its memory."""
        return max(1, self.memory // _REPLICA_BYTES)

    @property
    def processes(self) -> int:
        """How many load processes it can run in turns."""
        return _PROCESSES_PER_CORE * self.cores

    def sessions(self, processes: int) -> int:
        """How many sessions so many load processes can hold, with a connection each."""
        by_memory = self.memory // _SESSION_BYTES
        return max(1, min(by_memory, processes * max(1, self.descriptors - _OTHER_DESCRIPTORS)))


def require(scenario: Scenario, drivers: DriverProcesses, limits: MachineLimits | None = None) -> None:
    """Check that the machine can run a scenario.

    Raises:
        UsageError: it cannot; the message has the figure of what it can do.
    """
    limits = limits or MachineLimits.read()
    for design in scenario.designs:
        require_replicas(design.replicas or 1, limits)
    if drivers.here > limits.processes or drivers.elsewhere + drivers.inside > _MAX_ELSEWHERE:
        can = f"{limits.cores} cores run at most {limits.processes} load processes"
        raise UsageError(f"{drivers.here} load processes are too many", f"{can}; with {_MAX_ELSEWHERE} elsewhere")
    processes, load = max(1, drivers.here + drivers.elsewhere + drivers.inside), scenario.load
    sessions = getattr(load, "concurrent", None) or getattr(load, "sessions", None) or 0
    if sessions > (most := limits.sessions(processes)):
        by = f"{processes} load processes with {limits.descriptors:,} file descriptors each hold at most {most:,}"
        raise UsageError(f"{sessions:,} sessions are too many for this machine", f"{by}; --processes, ulimit -Hn")
    if load.rate is not None and peak(load.rate) > (fastest := _RATE_PER_PROCESS * processes):
        raise UsageError(
            f"{peak(load.rate):,.0f} arrivals per second are too many",
            f"{processes} load processes send at most {fastest:,}",
        )


def require_replicas(count: int, limits: MachineLimits | None = None) -> None:
    """Check that the machine can run so many replicas.

    Raises:
        UsageError: it cannot.
    """
    limits = limits or MachineLimits.read()
    if count > limits.replicas:
        room = f"{limits.memory / 2**30:.0f} GB of memory hold at most {limits.replicas:,}"
        raise UsageError(f"{count:,} replicas are too many for this machine", room)
