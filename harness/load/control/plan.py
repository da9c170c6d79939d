"""What the load process is told when it is started, through its environment."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from harness.common.errors import UsageError
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.rates import Rate, Trace, of_plain, plain
from harness.scenario.workload import Load, Requests

CHANNEL, SPOOL, LOAD, SEED = "HARNESS_CHANNEL", "HARNESS_SPOOL", "HARNESS_LOAD", "HARNESS_SEED"
#: How many workers the master waits for; for a worker, the number it goes by (0: the master gives it one).
WORKERS, WORKER = "HARNESS_WORKERS", "HARNESS_WORKER"
#: ``no`` where requests are tallied and not recorded.
RECORDS = "HARNESS_RECORDS"


@dataclass(frozen=True)
class LoadPlan:
    """A load in plain values. ``kind``: closed | partly_open | open."""

    kind: str
    concurrent: int | None = None
    rate: Rate | None = None
    sessions: int | None = None
    arrivals: str = "poisson"

    def __post_init__(self) -> None:
        needs = {"closed": self.concurrent, "partly_open": self.rate, "open": self.rate and self.sessions}
        if not needs.get(self.kind):
            raise UsageError(f"a load of kind {self.kind!r} lacks its size", f"see {LOAD} in docs/wire.md")

    @classmethod
    def from_load(cls, load: Load) -> Self:
        """The plan of a scenario's load."""
        if isinstance(load, Requests):
            return cls("open", rate=load.rate, sessions=load.sessions, arrivals=load.arrivals)
        return cls(load.kind, concurrent=load.concurrent, rate=load.rate, arrivals=load.arrivals)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """From what ``plain`` gave."""
        return cls(**{**told, "rate": of_plain(told["rate"]) if "rate" in told else None})

    def to_dict(self) -> dict[str, Any]:
        """In plain values."""
        return {**asdict(self), "rate": plain(self.rate)}

    def with_trace_times(self) -> Self:
        """With a trace's times in it, for whoever cannot read its file."""
        return replace(self, rate=self.rate.read()) if isinstance(self.rate, Trace) else self

    @property
    def users(self) -> int:
        """How many users Locust spawns: the live ones, or the pool; one that stands by where sessions arrive."""
        return self.concurrent or self.sessions or 1

    def users_for(self, workers: int) -> int:
        """The users of so many workers.

        Raises:
            UsageError: there are too few for each worker to have one.
        """
        users = max(1, workers) if self.kind == "partly_open" else self.users
        if users < workers:
            raise UsageError(f"{workers} workers share {users} sessions", "each needs at least one: --users")
        return users


@dataclass(frozen=True)
class Shard:
    """What one of several processes drives of a load: the ``nth``, from 0, ``of`` so many."""

    index: int = 0
    count: int = 1

    def session_number(self, index: int) -> int:
        """The number of its session with this index, from 1: no two processes have one in common."""
        return index * self.count + self.index + 1

    def select_arrivals(self, all_of_them: Iterator[int]) -> Iterator[int]:
        """Its arrivals: together the processes have each of them once, as one process would."""
        return itertools.islice(all_of_them, self.index, None, self.count)


#: That of a process which drives all of a load.
WHOLE_LOAD = Shard()


@dataclass(frozen=True)
class ProcessConfig:
    """The harness's orders to its load process; with ``workers`` that is their master, and drives nothing itself."""

    channel: int
    spool: Path
    load: LoadPlan
    seed: int
    workers: int = 0
    records: bool = True

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """From the environment; None where no harness has started this process."""
        if CHANNEL not in environ:
            return None
        plan = LoadPlan.from_dict(json.loads(environ[LOAD]))
        workers = int(environ.get(WORKERS, "0"))
        records = environ.get(RECORDS) != "no"
        return cls(int(environ[CHANNEL]), Path(environ[SPOOL]), plan, int(environ[SEED]), workers, records)


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker knows before its master tells it the rest; ``nth`` is 0 where the master also numbers it."""

    spool: Path
    number: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """From the environment; None where this process is no worker of a harness."""
        return cls(Path(environ[SPOOL]), int(environ[WORKER])) if WORKER in environ else None

    def environment(self) -> dict[str, str]:
        """As variables."""
        return {SPOOL: str(self.spool.absolute()), WORKER: str(self.number)}


def environment(spool: Path, plan: LoadPlan, seed: int, by: DriverProcesses = ONE_PROCESS) -> dict[str, str]:
    """The orders as variables, but for the channel: whoever starts the process knows its descriptor there."""
    told = {SPOOL: str(spool.absolute()), LOAD: json.dumps(plan.to_dict()), SEED: str(seed)}
    told |= {WORKERS: str(by.workers)} if by.workers else {}
    return told | ({} if by.records else {RECORDS: "no"})
