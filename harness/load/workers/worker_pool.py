"""The workers as their master knows them, and the sum of what they report."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.load.control.channel import ControlEvent, Ready, Stopped, Swept
from harness.load.workers.reliable_channel import ReliableChannel
from harness.observations.samples import Snapshot


@dataclass
class Worker:
    """One worker: its index from 0, where it is, and the latest that it reported."""

    index: int
    host: str
    channel: ReliableChannel
    name: str
    remote: bool = False  # on another machine than the master
    joined: bool = False
    last_snapshot: Snapshot = field(default_factory=lambda: Snapshot(0, 0.0))
    events: dict[type[ControlEvent], ControlEvent] = field(default_factory=dict)
    lost: bool = False


class WorkerPool:
    """The workers that have come so far, of ``size`` that are expected."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.workers: list[Worker] = []

    @property
    def alive(self) -> Sequence[Worker]:
        """The workers that were not lost."""
        return [worker for worker in self.workers if not worker.lost]

    @property
    def complete(self) -> bool:
        """Whether all have come."""
        return len(self.workers) == self.size and all(worker.joined for worker in self.workers)

    def free_index(self, number: int) -> int | None:
        """The index, from 0, of a worker with this number, from 1; 0 is a worker without a number. None: no room."""
        taken = {worker.index for worker in self.workers}
        free = [index for index in range(self.size) if index not in taken]
        if number:
            return number - 1 if number - 1 in free else None
        return free[-1] if free else None  # the first places are those of the workers that have numbers

    def all_reported(self, kind: type[ControlEvent]) -> bool:
        """Whether every worker that is alive has reported an event of this kind."""
        return self.complete and bool(self.alive) and all(kind in worker.events for worker in self.alive)

    @property
    def ready(self) -> bool:
        """Whether the users of all are there."""
        return self.all_reported(Ready)

    @property
    def stopped(self) -> bool:
        """Whether the last request of all has ended, so that each one's last snapshot is known."""
        return self.all_reported(Stopped)

    @property
    def sessions_swept(self) -> int | None:
        """How many sessions have been read once more; None while any worker still reads."""
        if not self.all_reported(Swept):
            return None
        events = (worker.events[Swept] for worker in self.alive)
        return sum(event.sessions for event in events if isinstance(event, Swept))

    def snapshot(self, n: int, t: float) -> Snapshot:
        """The ``n``-th sum of the latest snapshots of all workers, lost ones included."""
        return replace(merge_snapshots([worker.last_snapshot for worker in self.workers]), n=n, t=t)


def merge_snapshots(parts: Sequence[Snapshot]) -> Snapshot:
    """Several drivers' snapshots as one: counts add up, of times the worst is taken, of CPU the busiest driver's."""

    def total(field_name: str) -> int:
        return sum(getattr(part, field_name) for part in parts)

    def worst(field_name: str) -> float | None:
        return max((value for part in parts if (value := getattr(part, field_name)) is not None), default=None)

    return Snapshot(
        n=0,
        t=max((part.t for part in parts), default=0.0),
        sent=total("sent"),
        ok=total("ok"),
        failed=total("failed"),
        in_doubt=total("in_doubt"),
        anomalies=total("anomalies"),
        sessions=total("sessions"),
        sessions_lost=total("sessions_lost"),
        p99_ms=worst("p99_ms"),
        lag_p99_ms=worst("lag_p99_ms"),
        cpu=worst("cpu"),
        cpu_median=worst("cpu_median"),
        core=max(parts, key=lambda part: part.cpu_median or 0.0).core if parts else None,
        late=total("late"),
        dropped=total("dropped"),
        own_p50_ms=worst("own_p50_ms"),
        own_p90_ms=worst("own_p90_ms"),
        own_p99_ms=worst("own_p99_ms"),
        longest_stall_ms=worst("longest_stall_ms"),
        users_ended=total("users_ended"),
        users_ended_why=max(parts, key=lambda part: part.users_ended).users_ended_why if parts else None,
    )
