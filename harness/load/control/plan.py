"""The configuration of the load process, passed in its environment."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from harness.common.errors import UsageError
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.rates import Rate, Trace, from_json, to_json
from harness.scenario.workload import Load, Requests

CHANNEL, SPOOL, LOAD, SEED = "HARNESS_CHANNEL", "HARNESS_SPOOL", "HARNESS_LOAD", "HARNESS_SEED"
#: In place of ``CHANNEL``, for a process that inherits nothing: the port of its loopback at which it waits for the
#: harness, and the machine of the harness.
PORT, MACHINE = "HARNESS_CHANNEL_PORT", "HARNESS_MACHINE"
#: The node that it runs on, where that is known.
NODE = "HARNESS_NODE"
#: How many workers the master waits for; for a worker, its own number (0: the master assigns one).
WORKERS, WORKER = "HARNESS_WORKERS", "HARNESS_WORKER"
#: The secret that a master and its workers share, and the Unix socket between them where all are on one machine.
TOKEN, ENDPOINT = "HARNESS_WORKER_TOKEN", "HARNESS_WORKER_ENDPOINT"
#: ``no`` if requests are counted in histograms instead of recorded.
RECORDS = "HARNESS_RECORDS"


@dataclass(frozen=True)
class LoadPlan:
    """A load as plain values. ``kind``: closed | partly_open | open; ``rate`` is in arrivals per second."""

    kind: str
    concurrent: int | None = None
    rate: Rate | None = None
    sessions: int | None = None
    arrivals: str = "poisson"

    def __post_init__(self) -> None:
        needs = {"closed": self.concurrent, "partly_open": self.rate, "open": self.rate and self.sessions}
        if not needs.get(self.kind):
            raise UsageError(f"a load of kind {self.kind!r} has no size", f"see {LOAD} in docs/load-process.md")

    @classmethod
    def from_load(cls, load: Load) -> Self:
        """The plan of a scenario's load."""
        if isinstance(load, Requests):
            return cls("open", rate=load.rate, sessions=load.sessions, arrivals=load.arrivals)
        return cls(load.kind, concurrent=load.concurrent, rate=load.rate, arrivals=load.arrivals)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        return cls(**{**values, "rate": from_json(values["rate"]) if "rate" in values else None})

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can represent."""
        return {**asdict(self), "rate": to_json(self.rate)}

    def with_trace_times(self) -> Self:
        """Replace the path of a trace by its times, for workers that cannot read its file."""
        return replace(self, rate=self.rate.read()) if isinstance(self.rate, Trace) else self

    @property
    def users(self) -> int:
        """How many users Locust spawns: the concurrent ones or the pool; a single placeholder if sessions arrive."""
        return self.concurrent or self.sessions or 1

    def users_for(self, workers: int) -> int:
        """How many users Locust spawns with this number of workers.

        Raises:
            UsageError: there are too few users for each worker to have one.
        """
        users = max(1, workers) if self.kind == "partly_open" else self.users
        if users < workers:
            raise UsageError(f"{workers} workers share {users} sessions", "each needs at least one: --users")
        return users


@dataclass(frozen=True)
class Shard:
    """The part of a load that one of ``count`` processes drives; ``index`` counts from 0."""

    index: int = 0
    count: int = 1

    def session_number(self, index: int) -> int:
        """The number (from 1) of its session with this index; different processes never use the same number."""
        return index * self.count + self.index + 1

    def select_arrivals(self, arrivals: Iterator[int]) -> Iterator[int]:
        """Its part of all arrivals: each arrival belongs to exactly one process."""
        return itertools.islice(arrivals, self.index, None, self.count)


#: The shard of a process that drives the whole load.
WHOLE_LOAD = Shard()


@dataclass(frozen=True)
class ProcessConfig:
    """The configuration of a load process. With ``workers``, it is their master and drives no load itself.

    ``channel`` is the descriptor of the control channel. If it is None, the process shares no files with the harness,
    which runs on ``machine`` and connects to ``port``.
    """

    channel: int | None
    spool: Path
    load: LoadPlan
    seed: int
    workers: int = 0
    records: bool = True
    port: int = 0
    machine: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Read it from the environment; None if no harness started this process."""
        if CHANNEL not in environ and PORT not in environ:
            return None
        plan = LoadPlan.from_dict(json.loads(environ[LOAD]))
        workers = int(environ.get(WORKERS, "0"))
        records = environ.get(RECORDS) != "no"
        return cls(
            int(environ[CHANNEL]) if CHANNEL in environ else None,
            Path(environ[SPOOL]),
            plan,
            int(environ[SEED]),
            workers,
            records,
            int(environ.get(PORT, "0")),
            environ.get(MACHINE, ""),
        )


@dataclass(frozen=True)
class WorkerConfig:
    """The configuration of a worker before its master assigns its shard; ``number`` is 0 if the master assigns one."""

    spool: Path
    number: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Read it from the environment; None if this process is not a worker of a harness."""
        return cls(Path(environ[SPOOL]), int(environ[WORKER])) if WORKER in environ else None

    def environment(self) -> dict[str, str]:
        """As environment variables."""
        return {SPOOL: str(self.spool.absolute()), WORKER: str(self.number)}


def environment(spool: Path, plan: LoadPlan, seed: int, processes: DriverProcesses = ONE_PROCESS) -> dict[str, str]:
    """The environment variables of a load process, except the channel, whose descriptor its parent knows."""
    variables = {SPOOL: str(spool.absolute()), LOAD: json.dumps(plan.to_dict()), SEED: str(seed)}
    variables |= {WORKERS: str(processes.workers)} if processes.workers else {}
    return variables | ({} if processes.records else {RECORDS: "no"})
