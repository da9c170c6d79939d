"""An autoscaler: a target-tracking loop over the replicas' utilisation, as a part of the timeline."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from harness.cluster.capabilities import ReportsLoad, ScalingRule, SlotUsage
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.fault import Compound, FaultTopology, Observation
from harness.faults.platform_autoscale import let_scale
from harness.faults.scale import REPLICAS, Grow, Retire
from harness.observations.samples import Sample
from harness.scenario.faults import At

#: Seconds over which CPU is averaged. A younger replica does not count: its own start is no load.
WINDOW_S = 1.0
#: Within this share of the target the size stays; this, and the formula of ``wanted``, are those of Kubernetes.
TOLERANCE = 0.1


@runtime_checkable
class Sampled(Protocol):
    """A topology that is measured while it runs."""

    @property
    def samples(self) -> Sequence[Sample]:
        """CPU and memory of every part so far."""


@dataclass
class Gauge:
    """How busy the replicas were between the last two looks: their mean share of capacity, None where unknown.

    Of their slots where capacity is emulated, else of a core.
    """

    utilisation: float | None = None
    _before: Mapping[str, SlotUsage] = field(default_factory=dict)

    async def read(self, topology: FaultTopology) -> None:
        """Look at all replicas that serve; a new replica counts from its second look."""
        loads = {
            replica.name: load
            for replica in topology.replicas
            if isinstance(replica, ReportsLoad) and (load := await replica.load())
        }
        shares = [load.since(self._before[name]) for name, load in loads.items() if name in self._before]
        self._before = loads
        if loads:
            self.utilisation = sum(shares) / len(shares) if shares else None
        elif isinstance(topology, Sampled):
            self.utilisation = cpu(topology.samples, [replica.name for replica in topology.replicas])


@dataclass(frozen=True)
class Look(Observation):
    """The loop looks at how busy the replicas are."""

    gauge: Gauge
    kind: ClassVar[str] = "look"
    target: ClassVar[str] = REPLICAS

    async def look(self, topology: FaultTopology) -> None:
        """Read the gauge."""
        await self.gauge.read(topology)


@dataclass(frozen=True)
class Autoscale(Compound):
    """Keep the replicas' mean utilisation at ``at``, with ``least`` to ``most`` of them, for ``lasting``.

    Utilisation is the share of their slots in use where capacity is emulated (``service_time``), else of a core.

    It scales out at once, and in only ``cooldown`` after the last change, the newest replica first and one at a time,
    each drained for ``grace`` unless ``drain=False``. Later entries of the timeline wait for its end. The last size
    stays.

    On Kubernetes, a HorizontalPodAutoscaler does it by the CPU: at its own pace, with pods of its own choice, and
    without draining. It knows nothing of emulated slots: by them, the loop of the harness scales there, too.
    """

    at: float
    least: int
    most: int
    lasting: str
    every: str = "500ms"
    cooldown: str = "1s"
    drain: bool = True
    grace: str = "0s"
    kind: ClassVar[str] = "autoscale"
    target: ClassVar[str] = REPLICAS
    passes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.at > 0 or not 1 <= self.least < self.most:
            raise UsageError(
                f"Autoscale(at={self.at}, least={self.least}, most={self.most}) cannot be kept",
                "a utilisation above 0, at least 1 replica, and most above least",
            )
        if not 0 < parse_seconds(self.every) <= parse_seconds(self.lasting):
            raise UsageError("Autoscale needs 0 < every <= lasting", 'every="500ms", lasting="8s"')

    def check(self, replicas: int) -> None:
        """Check that the design starts with a size within its limits.

        Raises:
            UsageError: it does not.
        """
        if not self.least <= replicas <= self.most:
            raise UsageError(
                f"Autoscale keeps {self.least} to {self.most} replicas, and there are {replicas}",
                "begin with a number within these limits",
            )

    def choose_size(self, replicas: int, utilisation: float) -> int:
        """How many replicas there should be: ``replicas * utilisation / at``, rounded up, within the limits."""
        ratio = utilisation / self.at
        if abs(ratio - 1) <= TOLERANCE:
            return replicas
        return min(self.most, max(self.least, math.ceil(replicas * ratio)))

    def steps(self, topology: FaultTopology) -> Iterator[At]:
        """What the platform does, if it can scale by itself; else the loop of the harness."""
        if topology.autoscaler is None:
            return self._loop(topology)
        rule = ScalingRule(self.at, self.least, self.most, parse_seconds(self.cooldown))
        return let_scale(topology.autoscaler, rule, parse_seconds(self.lasting))

    def _loop(self, topology: FaultTopology) -> Iterator[At]:
        """Look, then grow or shrink accordingly; each step waits for the one before it."""
        gauge, began = Gauge(), time.monotonic()
        now, changed = 0.0, -parse_seconds(self.cooldown)
        while (now := max(now + parse_seconds(self.every), time.monotonic() - began)) < parse_seconds(self.lasting):
            yield At(f"{now:.3f}s", Look(gauge))
            for change in self._changes(topology, gauge, cooled=now - changed >= parse_seconds(self.cooldown)):
                yield At(f"{now:.3f}s", change)
                changed = time.monotonic() - began

    def _changes(self, topology: FaultTopology, gauge: Gauge, cooled: bool) -> Iterator[Grow | Retire]:
        names = [replica.name for replica in topology.replicas]
        wanted = len(names) if gauge.utilisation is None else self.choose_size(len(names), gauge.utilisation)
        yield from (Grow() for _ in range(wanted - len(names)))
        if wanted < len(names) and cooled:
            yield Retire(int(names[-1][1:]), self.drain, self.grace)


def cpu(samples: Sequence[Sample], names: Sequence[str]) -> float | None:
    """The mean CPU in cores of these replicas over the last ``WINDOW_S``; None where all are younger than that."""
    if not samples:
        return None
    since = samples[-1].t - WINDOW_S
    own: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.name in names:
            own.setdefault(sample.name, []).append(sample)
    grown = [[sample.cpu for sample in series if sample.t > since] for series in own.values() if series[0].t <= since]
    means = [sum(used) / len(used) for used in grown if used]
    return sum(means) / len(means) if means else None
