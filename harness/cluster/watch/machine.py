"""What the system reports of the competition for its cores: threads that wait for one, and all that is in use."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil


@dataclass(frozen=True)
class MachineTimes:
    """CPU seconds of the whole machine since its start: used by any program, and taken by its hypervisor (*steal*)."""

    busy: float = 0.0
    stolen: float = 0.0

    @classmethod
    def read(cls) -> Self:
        """Of all cores together."""
        times = psutil.cpu_times()
        stolen = getattr(times, "steal", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # user and nice include these
        return cls(sum(times) - guests - idle - stolen, stolen)

    def since(self, before: "MachineTimes", passed: float) -> tuple[float, float]:
        """The cores in use and those taken since an earlier reading, ``passed`` seconds before."""
        return max(0.0, self.busy - before.busy) / passed, max(0.0, self.stolen - before.stolen) / passed


def read_waits(pid: int) -> dict[int, float]:
    """Seconds in which each thread of a process was ready to run and had no core, by the thread's id.

    Empty where the system does not report it (``CONFIG_SCHED_INFO`` of Linux), or does not show the process.
    """
    waits: dict[int, float] = {}
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):  # the thread has ended
                waits[int(task.name)] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return waits
