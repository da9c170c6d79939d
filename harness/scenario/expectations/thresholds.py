"""Thresholds on latency, errors, throughput and availability, by design, phase and request name.

The same thresholds can be given as text, on the command line:

    [DESIGN, ...:] METRIC[(NAME)] < VALUE [during PHASE]

    p99 < 200ms
    errors < 0.1 %
    sticky: p99(GET /cart) < 200ms during before
    hybrid, stateless: availability > 99.9 % during fault
    throughput > 500/s
"""

import re
from dataclasses import dataclass, field
from typing import ClassVar

from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.results.summary import ArmFigures, DesignSummary, EndpointStats, Phase
from harness.results.verdicts import Result
from harness.scenario.checks import require
from harness.scenario.expectations.expectation import Expect, Judged, check_every_arm

#: Where a threshold may hold: in an arm, or in a phase of the arm with the fault.
ARMS, PHASES = ("control", "fault"), ("before", "during", "after")
_LATENCIES = ("p50", "p90", "p99", "p999", "max")
#: The metrics, with the direction in which each is limited.
METRICS = {**dict.fromkeys(_LATENCIES, "<"), "errors": "<", "throughput": ">", "availability": ">"}
_EXAMPLE = 'for example "p99 < 200ms", "errors < 0.1 %" or "sticky: p99(GET /cart) < 200ms during before"'
_FORM = re.compile(
    r"\s*(?:(?P<designs>\w+(?:\s*,\s*\w+)*)\s*:)?"
    r"\s*(?P<metric>\w+)\s*(?:\((?P<request>.+)\))?"
    r"\s*(?P<sign>[<>])=?\s*(?P<value>[^\s<>=][^<>=]*?)"
    r"(?:\s+during\s+(?P<during>\w+))?\s*"
)


@dataclass(frozen=True)
class Threshold(Expect):
    """A limit on one metric: of all requests or those of one name, in every arm, in one, or in one phase.

    ``limit`` is in ms for latencies (from the intended start), a share for errors and availability, per second for
    throughput. ``during`` is an arm (control, fault), or a phase of the arm with the fault (before, during, after).
    """

    metric: str = field(kw_only=True)
    limit: float = field(kw_only=True)
    during: str | None = field(default=None, kw_only=True)
    request: str | None = field(default=None, kw_only=True)
    name: ClassVar[str] = "threshold"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.metric in METRICS, f"there is no metric {self.metric!r} to limit", f"one of {', '.join(METRICS)}")
        require(
            self.during in (None, *ARMS, *PHASES),
            f"during= is {self.during!r}, which is no phase",
            f"one of {', '.join((*ARMS, *PHASES))}; left out, it holds in every arm",
        )
        require(self.limit >= 0, f"the limit of {self.metric} must not be below 0, as {self.limit:g} is")
        if self.metric in ("errors", "availability"):
            require(self.limit <= 1, f"{self.metric} is a share: {self.limit:g} is above 1", "0.001, or 0.1 % as text")

    @classmethod
    def parse(cls, text: str) -> "Threshold":
        """The threshold that a text states.

        Raises:
            UsageError: it states none.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is no expectation", _EXAMPLE)
        metric, sign = match["metric"], match["sign"]
        require(metric in METRICS, f"{text!r}: there is no metric {metric!r}", f"one of {', '.join(METRICS)}")
        require(
            sign == METRICS[metric],
            f"{text!r}: {metric} is limited by {METRICS[metric]}, not by {sign}",
            f"{metric} {METRICS[metric]} {match['value'].strip()}",
        )
        designs = tuple(name.strip() for name in match["designs"].split(",")) if match["designs"] else ()
        limit = _parse_limit(metric, match["value"].strip(), text)
        return cls(designs, metric=metric, limit=limit, during=match["during"], request=match["request"])

    @property
    def title(self) -> str:
        """The threshold as text, without its designs."""
        request = f"({self.request})" if self.request else ""
        during = f" during {self.during}" if self.during else ""
        limit = f"{self.limit:.12g}ms" if self.metric in _LATENCIES else self._format(self.limit)
        return f"{self.metric}{request} {METRICS[self.metric]} {limit}{during}"

    @property
    def limits_all_errors(self) -> bool:
        """Whether it says how many of all requests may fail without a fault."""
        return self.metric in ("errors", "availability") and self.request is None and self.during in (None, "control")

    def check(self, design: DesignSummary) -> Judged:
        """In the phase or arm that it is about; without one, in every arm."""
        if self.during is None:
            return check_every_arm(design.arms, self._check_arm)
        name = self.during if self.during in ARMS else "fault"
        if name not in design.arms:
            return Result.UNKNOWN, f"there was no {name} arm"
        return self._check_arm(design.arms[name])

    def _check_arm(self, arm: ArmFigures) -> Judged:
        if not arm.times_trusted:
            return (
                Result.UNKNOWN,
                "the load process or the design was short of a core, or was not watched",
            )
        if self.metric in _LATENCIES and not arm.trusts(self.metric):
            return Result.UNKNOWN, f"the load process: {'; '.join(arm.driver.doubts)}"
        whole: Phase | ArmFigures | None = getattr(arm.phases, self.during) if self.during in PHASES else arm
        if whole is None:
            return Result.UNKNOWN, f"there was no time {self.during} a fault"
        measured = self._measure_all(whole) if self.request is None else self._measure_named(arm, whole, self.request)
        if measured.value is None:
            return Result.UNKNOWN, measured.why_not
        return self._compare(measured)

    def _compare(self, measured: "MetricValue") -> Judged:
        value = measured.value or 0.0
        bound = ">= " if measured.is_lower_bound else ""
        why = f"{self.metric} was {bound}{self._format(value)}, over {measured.requests:,} requests"
        beyond = value < self.limit if METRICS[self.metric] == "<" else value > self.limit
        holds = beyond or value == self.limit in (0.0, 1.0)  # nothing is below no errors, or above full availability
        if holds and measured.is_lower_bound:
            return Result.UNKNOWN, f"{why}: a lower bound, since not all arrivals were served"
        return (Result.PASS if holds else Result.FAIL), why

    def _measure_all(self, whole: Phase | ArmFigures) -> "MetricValue":
        counts, mean, correct = whole.requests, whole.throughput.mean, whole.throughput.correct
        if not counts.attempted:
            return MetricValue(None, 0)
        if self.metric in _LATENCIES:
            value = getattr(whole.latency_ms, self.metric)
            return MetricValue(value, counts.attempted, whole.latency_is_lower_bound)
        correct_share = counts.ok / counts.attempted * (correct / mean) if correct and mean else 0.0
        value = {
            "errors": (counts.attempted - counts.ok) / counts.attempted,
            "availability": correct_share,
            "throughput": mean,
        }[self.metric]
        return MetricValue(value, counts.attempted)

    def _measure_named(self, arm: ArmFigures, whole: Phase | ArmFigures, request: str) -> "MetricValue":
        named = arm.names.get(request)
        if named is not None and self.during in PHASES:
            named = named.phases.get(str(self.during))
        if named is None or not named.requests:
            known = ", ".join(list(arm.names)[:8]) or "none was recorded"
            return MetricValue(None, 0, why_not=f"no request {request!r} was counted; there were {known}")
        if self.metric in _LATENCIES:
            value = getattr(named, f"{self.metric}_ms")
            return MetricValue(value, named.requests, whole.latency_is_lower_bound)
        return MetricValue(self._rate(named, whole), named.requests)

    def _rate(self, named: EndpointStats, whole: Phase | ArmFigures) -> float | None:
        if self.metric == "throughput":
            mean, ok = whole.throughput.mean, whole.requests.ok
            return mean * named.ok / ok if mean and ok else 0.0
        return (named.requests - named.ok if self.metric == "errors" else named.correct) / named.requests

    def _format(self, value: float) -> str:
        if self.metric in _LATENCIES:
            return f"{value:.4g} ms"
        return f"{value:.4g}/s" if self.metric == "throughput" else f"{100 * value:.4g} %"


@dataclass(frozen=True)
class MetricValue:
    """The value of a metric; None if it was not measured."""

    value: float | None
    requests: int
    is_lower_bound: bool = False
    why_not: str = "no request was measured"


def _parse_limit(metric: str, value: str, text: str) -> float:
    try:
        if metric in _LATENCIES:
            return parse_seconds(value.replace(" ", "")) * 1000
        if value.endswith("%"):
            require(metric != "throughput", f"{text!r}: throughput is no share", "throughput > 500/s")
            return float(value[:-1]) / 100
        return float(value.removesuffix("/s") if metric == "throughput" else value)
    except ValueError as problem:
        raise UsageError(f"{text!r}: {value!r} is not a limit of {metric}", _EXAMPLE) from problem


def _latency_below(metric: str, limit: str, designs: tuple[str, ...], during: str | None, name: str | None) -> Expect:
    require(isinstance(limit, str), f"{metric}_below({limit!r}): a latency has a unit", f'{metric}_below("200ms")')
    return Threshold(designs, metric=metric, limit=parse_seconds(limit) * 1000, during=during, request=name)


def p50_below(limit: str, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """Half of the requests take less than ``limit`` (a duration such as ``"200ms"``), from their intended start."""
    return _latency_below("p50", limit, designs, during, name)


def p90_below(limit: str, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """Nine of ten requests take less than ``limit``."""
    return _latency_below("p90", limit, designs, during, name)


def p99_below(limit: str, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """99 of 100 requests take less than ``limit``."""
    return _latency_below("p99", limit, designs, during, name)


def p999_below(limit: str, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """999 of 1,000 requests take less than ``limit``."""
    return _latency_below("p999", limit, designs, during, name)


def errors_below(share: float, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """Less than this share of the requests fails or is in doubt."""
    return Threshold(designs, metric="errors", limit=share, during=during, request=name)


def throughput_above(rate: float, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """More than ``rate`` requests per second are answered well."""
    return Threshold(designs, metric="throughput", limit=rate, during=during, request=name)


def availability_above(share: float, *designs: str, during: str | None = None, name: str | None = None) -> Expect:
    """More than this share of the intended requests is answered well and without any anomaly."""
    return Threshold(designs, metric="availability", limit=share, during=during, request=name)
