"""What is sampled while an arm runs: the use of CPU and memory, and the load process's own counts."""

from dataclasses import dataclass

#: A request that is sent later than this (ns) after its time has a late start.
LATE_NS = 10_000_000


@dataclass(frozen=True)
class Sample:
    """CPU and memory of one part over the last interval, or of the whole machine with all its programs."""

    t: float  # seconds from T0
    role: str  # driver | replica | balancer | store | harness | machine
    name: str
    cpu: float  # cores in use
    memory_mb: float  # resident
    waited: float = 0.0  # threads that were ready and had no core, on average; of the machine, the cores taken from it


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
    late: int = 0  # starts that the driver itself delayed by more than 10 ms
    dropped: int = 0
    own_p50_ms: float | None = None  # what delays of the loop may have added to this percentile of the requests' times
    own_p90_ms: float | None = None
    own_p99_ms: float | None = None
    longest_stall_ms: float | None = None  # of the loop
    users_ended: int = 0  # users that are gone because their on_start raised
    users_ended_why: str | None = None  # the class and the exception of most of them
