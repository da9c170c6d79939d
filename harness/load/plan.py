"""What the load process is told when it is started, through its environment."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from harness.errors import UsageError
from harness.scenario import Load, Requests

CHANNEL, SPOOL, LOAD, SEED = "HARNESS_CHANNEL", "HARNESS_SPOOL", "HARNESS_LOAD", "HARNESS_SEED"


@dataclass(frozen=True)
class LoadPlan:
    """A load in plain values. ``kind``: closed | partly_open | open."""

    kind: str
    concurrent: int | None = None
    rate: float | None = None
    sessions: int | None = None
    arrivals: str = "poisson"

    def __post_init__(self) -> None:
        needs = {"closed": self.concurrent, "partly_open": self.rate, "open": self.rate and self.sessions}
        if not needs.get(self.kind):
            raise UsageError(f"a load of kind {self.kind!r} lacks its size", f"see {LOAD} in docs/wire.md")

    @classmethod
    def of(cls, load: Load) -> Self:
        """The plan of a scenario's load."""
        if isinstance(load, Requests):
            return cls("open", rate=load.rate, sessions=load.sessions, arrivals=load.arrivals)
        return cls(load.kind, concurrent=load.concurrent, rate=load.rate, arrivals=load.arrivals)

    @property
    def users(self) -> int:
        """How many users Locust spawns: the live ones, or the pool; one that stands by where sessions arrive."""
        return self.concurrent or self.sessions or 1


@dataclass(frozen=True)
class Orders:
    """The harness's orders to its load process."""

    channel: int
    spool: Path
    load: LoadPlan
    seed: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self | None:
        """From the environment; None where no harness has started this process."""
        if CHANNEL not in environ:
            return None
        plan = LoadPlan(**json.loads(environ[LOAD]))
        return cls(int(environ[CHANNEL]), Path(environ[SPOOL]), plan, int(environ[SEED]))


def environment(spool: Path, plan: LoadPlan, seed: int) -> dict[str, str]:
    """The orders as variables, but for the channel: whoever starts the process knows its descriptor there."""
    return {SPOOL: str(spool.absolute()), LOAD: json.dumps(asdict(plan)), SEED: str(seed)}
