"""The workers as their master knows them, and the sum of what they say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from harness.load.control.channel import ControlEvent, Ready, Stopped, Swept
from harness.load.workers.reliable_channel import ReliableChannel
from harness.observations.samples import Snapshot


@dataclass
class Worker:
    """One worker: its number from 0, where it is, and the latest of what it said."""

    nth: int
    host: str
    post: ReliableChannel
    name: str
    elsewhere: bool = False  # on another machine than the master
    joined: bool = False
    last: Snapshot = field(default_factory=lambda: Snapshot(0, 0.0))
    said: dict[type[ControlEvent], ControlEvent] = field(default_factory=dict)
    lost: bool = False


class WorkerPool:
    """So many workers, those that have come so far."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.workers: list[Worker] = []

    @property
    def alive(self) -> Sequence[Worker]:
        """Those that were not lost."""
        return [worker for worker in self.workers if not worker.lost]

    @property
    def complete(self) -> bool:
        """Whether all have come."""
        return len(self.workers) == self.size and all(worker.joined for worker in self.workers)

    def place(self, asked: int) -> int | None:
        """The place, from 0, of a worker that goes by the number ``asked``, from 1; or by none, which is 0."""
        taken = {worker.nth for worker in self.workers}
        free = [nth for nth in range(self.size) if nth not in taken]
        if asked:
            return asked - 1 if asked - 1 in free else None
        return free[-1] if free else None  # the first places are those of the workers that have numbers

    def all_say(self, kind: type[ControlEvent]) -> bool:
        """Whether every worker that lives has said so."""
        return self.complete and bool(self.alive) and all(kind in worker.said for worker in self.alive)

    @property
    def ready(self) -> bool:
        """Whether the users of all are there."""
        return self.all_say(Ready)

    @property
    def stopped(self) -> bool:
        """Whether the last request of all has ended, so that each one's last snapshot is known."""
        return self.all_say(Stopped)

    @property
    def swept(self) -> int | None:
        """How many sessions have been read once more; None while any worker still reads."""
        words = [worker.said.get(Swept) for worker in self.alive]
        return sum(word.sessions for word in words if isinstance(word, Swept)) if self.all_say(Swept) else None

    def snapshot(self, n: int, t: float) -> Snapshot:
        """The ``n``-th sum of what all have said last, those that are lost included."""
        return replace(merge_snapshots([worker.last for worker in self.workers]), n=n, t=t)


def merge_snapshots(parts: Sequence[Snapshot]) -> Snapshot:
    """Several drivers' snapshots as one: counts add up, of times the worst is told, of CPU the busiest driver's."""
    return Snapshot(
        n=0,
        t=max((part.t for part in parts), default=0.0),
        sent=sum(part.sent for part in parts),
        ok=sum(part.ok for part in parts),
        failed=sum(part.failed for part in parts),
        in_doubt=sum(part.in_doubt for part in parts),
        anomalies=sum(part.anomalies for part in parts),
        sessions=sum(part.sessions for part in parts),
        sessions_lost=sum(part.sessions_lost for part in parts),
        p99_ms=_worst(part.p99_ms for part in parts),
        lag_p99_ms=_worst(part.lag_p99_ms for part in parts),
        cpu=_worst(part.cpu for part in parts),
        cpu_median=_worst(part.cpu_median for part in parts),
        core=max(parts, key=lambda part: part.cpu_median or 0.0).core if parts else None,
        late=sum(part.late for part in parts),
        dropped=sum(part.dropped for part in parts),
    )


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
