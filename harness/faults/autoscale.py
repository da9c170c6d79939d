"""An autoscaler: a target-tracking loop over the replicas' utilisation, as a part of the timeline."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from harness.cluster.capabilities import ReportsLoad, SlotUsage
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.faults.fault import FaultTopology
from harness.faults.scale import REPLICAS, Grow, Retire
from harness.observations.samples import Sample
from harness.scenario.faults import At

#: Seconds over which CPU is averaged. A replica counts once it is as old: its own start is no load.
WINDOW = 1.0
#: Within this share of the target nothing is done, as in Kubernetes' autoscaler, whose formula ``wanted`` is.
TOLERANCE = 0.1


@runtime_checkable
class Sampled(Protocol):
    """A topology that is measured while it runs."""

    @property
    def samples(self) -> Sequence[Sample]:
        """CPU and memory of every part so far."""


@dataclass
class Gauge:
    """How busy the replicas were between the last two looks: their mean share of capacity, None where none tells.

    Of their slots where capacity is emulated, else of a core.
    """

    utilisation: float | None = None
    _before: Mapping[str, SlotUsage] = field(default_factory=dict)

    async def read(self, topology: FaultTopology) -> None:
        """Look at all replicas that serve; a new one counts from its second look."""
        loads = {
            one.name: load for one in topology.replicas if isinstance(one, ReportsLoad) and (load := await one.load())
        }
        shares = [load.since(self._before[name]) for name, load in loads.items() if name in self._before]
        self._before = loads
        if loads:
            self.utilisation = sum(shares) / len(shares) if shares else None
        elif isinstance(topology, Sampled):
            self.utilisation = cpu(topology.samples, [replica.name for replica in topology.replicas])


@dataclass(frozen=True)
class Look:
    """The loop looks at how busy the replicas are."""

    gauge: Gauge
    kind: ClassVar[str] = "look"
    target: ClassVar[str] = REPLICAS

    def check(self, replicas: int) -> None:
        """Nothing can be wrong with it."""

    async def look(self, topology: FaultTopology) -> None:
        """Read the gauge."""
        await self.gauge.read(topology)


@dataclass(frozen=True)
class Autoscale:
    """Keep the replicas' mean utilisation at ``at``, with ``least`` to ``most`` of them, for ``lasting``.

    It is the share of their slots in use where capacity is emulated (``service_time``), else of a core.

    Out at once, in only ``cooldown`` after the last change, the newest first and one at a time, each drained for
    ``grace`` unless ``drain=False``. What comes later on the timeline waits for its end. The last size stays.
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
            raise UsageError("Autoscale looks every so often while it lasts", 'every="500ms", lasting="8s"')

    def check(self, replicas: int) -> None:
        """It begins with a size that it may keep.

        Raises:
            UsageError: it does not.
        """
        if not self.least <= replicas <= self.most:
            raise UsageError(
                f"Autoscale keeps {self.least} to {self.most} replicas, and there are {replicas}",
                "begin with as many as it may keep",
            )

    def wanted(self, replicas: int, utilisation: float) -> int:
        """How many there should be: as many times as many as the utilisation is times its target, rounded up."""
        ratio = utilisation / self.at
        if abs(ratio - 1) <= TOLERANCE:
            return replicas
        return min(self.most, max(self.least, math.ceil(replicas * ratio)))

    def steps(self, topology: FaultTopology) -> Iterator[At]:
        """Look, and grow or shrink by what is seen then; each step waits for the one before it."""
        gauge, began = Gauge(), time.monotonic()
        now, changed = 0.0, -parse_seconds(self.cooldown)
        while (now := max(now + parse_seconds(self.every), time.monotonic() - began)) < parse_seconds(self.lasting):
            yield At(f"{now:.3f}s", Look(gauge))
            for deed in self._deeds(topology, gauge, cooled=now - changed >= parse_seconds(self.cooldown)):
                yield At(f"{now:.3f}s", deed)
                changed = time.monotonic() - began

    def _deeds(self, topology: FaultTopology, gauge: Gauge, cooled: bool) -> Iterator[Grow | Retire]:
        names = [replica.name for replica in topology.replicas]
        wanted = len(names) if gauge.utilisation is None else self.wanted(len(names), gauge.utilisation)
        yield from (Grow() for _ in range(wanted - len(names)))
        if wanted < len(names) and cooled:
            yield Retire(int(names[-1][1:]), self.drain, self.grace)


def cpu(samples: Sequence[Sample], names: Sequence[str]) -> float | None:
    """The mean CPU in cores of these replicas over the last second, of those that are as old; None where none is."""
    if not samples:
        return None
    since = samples[-1].t - WINDOW
    own: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.name in names:
            own.setdefault(sample.name, []).append(sample)
    grown = [[one.cpu for one in ones if one.t > since] for ones in own.values() if ones[0].t <= since]
    means = [sum(ones) / len(ones) for ones in grown if ones]
    return sum(means) / len(means) if means else None
