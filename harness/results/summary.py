"""The Summary: figures of a run, a pure fold over its observations. Its JSON is the contract of summary.json.

Seconds from T0, latencies in milliseconds, rates per second, cpu in cores. ``None`` is what could not be measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Self

from harness.oracle.outcome import SessionOutcome

SCHEMA = 1
#: The share of sessions that may remain without a judgement before nothing is said of all.
MOST_NOT_JUDGED = 0.05


@dataclass(frozen=True)
class RequestCounts:
    """Counts by outcome; ``attempted`` is the sum of ``ok``, ``failed`` and ``in_doubt``.

    ``dropped`` are the arrivals of an open load that were never sent; they are among the failed.
    """

    attempted: int
    ok: int
    failed: int
    in_doubt: int
    dropped: int = 0


@dataclass(frozen=True)
class Throughput:
    """Replies per second: ``mean`` of all that were ok, ``correct`` of those free of any anomaly."""

    mean: float | None
    correct: float | None


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    max: float | None


@dataclass(frozen=True)
class Phase:
    """Counts, throughput and times over one stretch of the run.

    With dropped arrivals, ``latency_ms`` is a lower bound: they were never served, whatever they count as.
    """

    requests: RequestCounts
    throughput: Throughput
    latency_ms: Percentiles
    service_ms: Percentiles
    latency_is_lower_bound: bool = False


@dataclass(frozen=True)
class Phases:
    """Before the first fault was effective, until the last had recovered, and after; None if there is no such phase.

    A request belongs to the phase in which it ended.
    """

    before: Phase | None
    during: Phase | None
    after: Phase | None


@dataclass(frozen=True)
class SessionFigures:
    """What happened to every session. ``loss_interval_99`` is the Clopper-Pearson interval of ``loss_rate``.

    What is proven (lost, rolled back, stale, leaked, forced to log in) counts over all sessions, judged to the end or
    not. ``unknown`` sessions leave the denominators only, except for the ``proven`` ones: rates are of ``known``.
    """

    started: int
    judged: int
    at_risk: int | None
    expected_lost: int | None
    lost: int
    loss_rate: float | None
    loss_interval_99: tuple[float, float] | None
    moved: int
    rolled_back: int
    stale: int
    leaked: int
    forced_login: int
    unknown: int
    lost_by_cause: Mapping[str, int] = field(default_factory=dict)  # state_removal.find_cause has the causes
    wrong: int = 0  # with a reply whose content is not what was requested
    lost_not_at_risk: int | None = None
    at_risk_not_lost: int | None = None
    not_judged_because: tuple[str, ...] = ()  # sentences
    proven: int = 0  # of the unknown, those of which something bad is proven nevertheless
    unexplained: int = 0  # with a state that no explanation fits, or more than one

    def __post_init__(self) -> None:
        """No part is larger than the whole."""
        whole = max(self.started, self.known)
        for part in ("at_risk", "expected_lost", "lost", "rolled_back", "stale", "leaked", "forced_login"):
            if (getattr(self, part) or 0) > whole:
                raise ValueError(f"{part} is {getattr(self, part)} of {whole} sessions")

    @property
    def known(self) -> int:
        """The sessions judged to the end, and those of which something is proven without that."""
        return self.judged + self.proven

    @property
    def are_judged(self) -> bool:
        """Whether enough of them were judged to say what happened to all: any, and at most 5 % were not."""
        return self.judged > 0 and self.unknown <= MOST_NOT_JUDGED * self.started

    @property
    def outcomes(self) -> Mapping[SessionOutcome, int]:
        """How many sessions each outcome happened to at least once."""
        return {
            SessionOutcome.LOST: self.lost,
            SessionOutcome.ROLLED_BACK: self.rolled_back,
            SessionOutcome.STALE: self.stale,
            SessionOutcome.LEAKED: self.leaked,
            SessionOutcome.WRONG: self.wrong,
            SessionOutcome.FORCED_LOGIN: self.forced_login,
        }


@dataclass(frozen=True)
class WriteFigures:
    """Acknowledged writes and what happened to them; ``lost`` includes those of lost sessions."""

    acknowledged: int
    lost: int
    duplicated: int
    in_doubt: int
    recovered: int
    unexplained: int
    lost_not_at_risk: int | None = None  # of sessions that were not at risk; None if no fault took state away

    @property
    def outcomes(self) -> Mapping[SessionOutcome, int]:
        """How many writes each outcome happened to."""
        return {
            SessionOutcome.LOST_WRITES: self.lost,
            SessionOutcome.DUPLICATED: self.duplicated,
            SessionOutcome.UNEXPLAINED: self.unexplained,
        }


@dataclass(frozen=True)
class MessageFigures:
    """What happened on WebSockets. Messages are counted per receiver: one to three others is due three times.

    ``disordered`` were received after a later one of the same sender. ``oracle.delivery`` says what is due.
    """

    acknowledged: int  # sent, and answered well or in need of no answer
    received: int  # that came unsolicited, whether due or not
    due: int
    lost: int
    missed: int  # of the lost, those sent while the receiver had no connection, or one that was about to break
    repeated: int
    disordered: int
    connections: int  # WebSockets that were established
    refused: int  # that were requested and not established
    ended: int  # by the other side, in order or not
    reconnects: int  # of the connections, those that were not their session's first
    rejoin_ms: Percentiles  # from such an end until the next connection was established
    silence_ms: Percentiles  # from the last message before such an end to the first one after it
    delivery_ms: Percentiles  # from sending to receiving
    opened_per_s_before: float | None  # upgrades requested per second, before the first fault
    opened_per_s_worst: float | None  # the most in any second after it

    def __post_init__(self) -> None:
        """The parts lie inside the whole."""
        if not 0 <= self.missed <= self.lost <= self.due:
            raise ValueError(f"{self.missed} missed of {self.lost} lost of {self.due} due")

    @property
    def outcomes(self) -> Mapping[SessionOutcome, int]:
        """How many messages each outcome happened to."""
        return {
            SessionOutcome.LOST_MESSAGES: self.lost,
            SessionOutcome.REPEATED_MESSAGES: self.repeated,
            SessionOutcome.DISORDERED: self.disordered,
        }


@dataclass(frozen=True)
class Spread:
    """How evenly replies came from the replicas."""

    per_replica: Mapping[str, int]
    max_over_mean: float | None
    cv: float | None

    @classmethod
    def of(cls, per_replica: Mapping[str, int]) -> Self:
        """From the replies of each."""
        counts = list(per_replica.values())
        if not sum(counts):
            return cls(per_replica, None, None)
        mean = fmean(counts)
        return cls(per_replica, max(counts) / mean, pstdev(counts) / mean)


@dataclass(frozen=True)
class Bytes:
    """Mean bytes on the wire, headers included."""

    request_mean: float | None
    response_mean: float | None

    @property
    def total_mean(self) -> float | None:
        """A request and its response together."""
        if self.request_mean is None or self.response_mean is None:
            return None
        return self.request_mean + self.response_mean


@dataclass(frozen=True)
class EndpointStats:
    """The requests of one name: how many, their replies by status (0: none came), anomalies, times, bytes of the ok."""

    requests: int
    ok: int
    anomalies: int
    statuses: Mapping[str, int]
    p50_ms: float | None
    p99_ms: float | None
    request_bytes: float | None
    response_bytes: float | None
    p90_ms: float | None = None
    p999_ms: float | None = None
    max_ms: float | None = None
    correct: int = 0  # ok and free of any anomaly
    wrong: int = 0  # with content that their ``check`` refused
    failures: Mapping[str, int] = field(default_factory=dict)  # the statuses of those that failed or are in doubt
    phases: Mapping[str, "EndpointStats"] = field(default_factory=dict)  # before, during, after a fault


@dataclass(frozen=True)
class PodEnd:
    """A pod of Kubernetes that left its Service: seconds from T0, None where nobody reported it.

    ``unanswered`` are the requests without a reply from SIGTERM on, until a second passed without one;
    ``last_unanswered`` is when the last of them was sent.
    """

    replica: str
    sigterm: float | None
    endpoint_left: float
    gone: float | None
    unanswered: int
    last_unanswered: float | None


@dataclass(frozen=True)
class FaultFigures:
    """One fault: seconds from T0, and from ``effective`` to the last error it caused and to full goodput."""

    kind: str
    target: str
    commanded: float
    effective: float | None
    healed: float | None
    evidence: Mapping[str, str | int | float | bool | None]
    detect_s: float | None
    recover_s: float | None
    gray_s: float | None = None  # the balancer held the target for up and requests went unanswered
    surge: float | None = None  # sessions begun in the worst second after it, over the mean second before
    pods: tuple[PodEnd, ...] = ()  # that it took out of their Service


@dataclass(frozen=True)
class Availability:
    """Correct replies over intended requests."""

    overall: float | None
    during_fault: float | None


@dataclass(frozen=True)
class Resources:
    """Means over the measured time."""

    driver_cpu: float | None
    replica_cpu: float | None
    balancer_cpu: float | None
    store_cpu: float | None
    memory_mb: float | None
    cpu_ms_per_request: float | None
    processes: int | None = None  # that ran the design: neither the load process nor the harness is among them
    ports: int | None = None  # addresses that they listened on
    config_lines: int | None = None  # the balancer's and the store's: lines of their files, flags of their commands
    waited: float | None = None  # parts of the design that a request passes and that had no core, although ready to run
    other_cpu: float | None = None  # cores that programs outside the run used
    stolen_cpu: float | None = None  # cores that the hypervisor took away
    starved: bool | None = None  # whether these made the design wait so often that its times cannot be trusted


@dataclass(frozen=True)
class DriverFigures:
    """Whether the load process kept up. If it is ``saturated``, the times of the arm cannot be trusted."""

    saturated: bool | None
    lag_p99_ms: float | None
    late: int | None  # starts that it delayed by more than 10 ms
    dropped: int | None
    cpu_median: float | None = None  # of a core, in the middle one of the seconds of the busiest load process
    core: str | None = None  # that it used this on
    own_p50_ms: float | None = None  # how much of this percentile may be delays of the load process itself
    own_p90_ms: float | None = None
    own_p99_ms: float | None = None
    longest_stall_ms: float | None = None  # of its loop
    doubts: tuple[str, ...] = ()  # why it is saturated, or why a percentile is doubtful
    doubtful: tuple[str, ...] = ()  # the percentiles of which more than half may be its own delays
    hosts: tuple[str, ...] = ()  # where its processes ran; empty for a single one on the machine of the harness


@dataclass(frozen=True)
class Sagas:
    """Orders of several steps, by what the effect journal says of each in the end.

    ``shipped`` and ``undone`` are at their end; ``half_done`` are not, or contradict themselves. ``repeated`` had a
    step done twice. ``resumed`` were continued by another start of a replica than began them; ``left_after`` counts
    those and the half-done by the last step of the start that began them.
    """

    begun: int
    shipped: int
    undone: int
    half_done: int
    repeated: int
    resumed: int
    left_after: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadUsers:
    """The users of the load: how many were asked for, and those that ended before their first task."""

    planned: int | None  # None: sessions arrive at a rate
    ended: int  # because their on_start raised
    why: str | None = None  # the class and the exception of most of them

    def describe(self) -> str:
        """``5 of 10 users ended in on_start (Fast: RuntimeError: cannot begin)``."""
        of = f" of {self.planned:,}" if self.planned is not None else ""
        return f"{self.ended:,}{of} users ended in on_start" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True)
class ArmFigures:
    """All figures of a design with or without its faults."""

    requests: RequestCounts
    throughput: Throughput
    latency_ms: Percentiles
    service_ms: Percentiles
    phases: Phases
    sessions: SessionFigures
    writes: WriteFigures
    spread: Spread
    bytes: Bytes
    faults: tuple[FaultFigures, ...]
    availability: Availability
    resources: Resources
    driver: DriverFigures
    messages: MessageFigures | None = None  # None: no WebSocket was requested
    repeats: tuple["ArmFigures", ...] = ()
    sagas: Sagas | None = None  # None: the app has no such orders
    users: LoadUsers | None = None
    names: Mapping[str, EndpointStats] = field(default_factory=dict)  # the requests by what they are counted under
    latency_is_lower_bound: bool = False  # arrivals were dropped: neither percentiles here nor those by name have them

    @property
    def times_trusted(self) -> bool:
        """Whether neither the load process nor what it measured was short of a core."""
        return self.driver.saturated is False and not self.resources.starved

    def trusts(self, percentile: str) -> bool:
        """Whether times can be trusted, and this percentile (``p99``) is not mostly the load process's own delay."""
        return self.times_trusted and percentile not in self.driver.doubtful

    @property
    def outcomes(self) -> Mapping[SessionOutcome, int]:
        """How many sessions, writes or messages each outcome happened to."""
        messages = self.messages.outcomes if self.messages else {}
        return {**self.sessions.outcomes, **self.writes.outcomes, **messages}


@dataclass(frozen=True)
class DesignSummary:
    """A design's arms, the finding, and whether it is what the scenario expected."""

    describe: Mapping[str, str | int | float | bool]
    arms: Mapping[str, ArmFigures]  # fault, control
    finding: SessionOutcome  # what happened with the fault
    verdict: str = "unknown"
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """The judge against seeded bugs: ``matrix[seeded][judged]`` counts sessions."""

    matrix: Mapping[SessionOutcome, Mapping[SessionOutcome, int]]
    sessions: int
    correct: int

    @property
    def diagonal(self) -> bool:
        """Whether every seeded bug was found as what it is, and nothing else was."""
        return self.sessions > 0 and self.correct == self.sessions


@dataclass(frozen=True)
class Echo:
    """The driver against a service that does nothing: the floor under every latency of this run."""

    requests: int
    throughput: float
    p50_ms: float
    p99_ms: float
    driver_cpu: float | None
    repeats: tuple["Echo | None", ...] = ()  # one per round, if there are several; None if it broke


@dataclass(frozen=True)
class AAControl:
    """The A/A arm: a design's control measured a second time in every round. What it differs by is noise."""

    design: str
    arm: ArmFigures


@dataclass(frozen=True)
class Controls:
    """The evidence that the rest can be believed; None if a control did not run."""

    calibration: Calibration | None
    echo: Echo | None
    aa: AAControl | None = None


@dataclass(frozen=True)
class Summary:
    """The content of summary.json."""

    scenario: str
    run: str
    designs: Mapping[str, DesignSummary]
    controls: Controls
    verdict: str = "unknown"
    schema: int = SCHEMA
