"""What is sampled while an arm runs: the use of CPU and memory, and the load process's own counts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """CPU and memory of one part over the last interval."""

    t: float  # seconds from T0
    role: str  # driver | replica | balancer | store | harness
    name: str
    cpu: float  # cores in use
    memory_mb: float  # resident


@dataclass(frozen=True)
class Snapshot:
    """The load process's own counts, cumulative and numbered, every 200 ms."""

    n: int
    t: float  # seconds from T0
    sent: int = 0
    ok: int = 0
    failed: int = 0
    in_doubt: int = 0
    anomalies: int = 0
    sessions: int = 0
    sessions_lost: int = 0
    p99_ms: float | None = None  # of the last interval
    lag_p99_ms: float | None = None  # of the driver's own loop, since the start
    cpu: float | None = None  # cores the driver used in the last interval
    cpu_median: float | None = None  # of a core, in the middle one of its seconds under load
    core: str | None = None  # the core on which it used that, with the worker where there are several
    late: int = 0
    dropped: int = 0
