"""Drivers side by side: rounds in turns, one meter for all, the best round of each.

The meter is the server's: how many replies the kernel saw nginx write between two moments, and the CPU time that the
driver spent meanwhile. The order alternates. Work of others on the machine can only slow a round, never speed it up, so
the figures compared are each driver's best.
"""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil
from rich.console import Console

from benchmarks.cores import two_cores
from benchmarks.drivers import FAST_HTTP, OURS, PEERS, WRK, Ours, Peer, Trial
from benchmarks.fixed import FixedReply, fixed_reply
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import UntrustedError

FEW, MANY = 32, 1000
#: Ours divided by theirs: below these the comparison fails.
FLOORS = {"fasthttp_ratio": 10.0, "wrk_ratio": 0.6, "wrk_1000_ratio": 0.5}
#: The same of the CPU time a request, medians of rounds: what else a machine does hardly changes it, so it can be held
#: anywhere. These tell a driver that has become slower, not how fast it is where nothing disturbs it.
CI_FLOORS = {"fasthttp_cpu_ratio": 6.0, "wrk_cpu_ratio": 0.4}
WARM_S = 1.0
BEGUN_S = 30.0


@dataclass(frozen=True)
class Measured:
    """One round of one driver."""

    rate: float  # replies a second
    cpu_us: float  # of the driver, a reply
    memory: int  # bytes resident


@dataclass
class Entry:
    """One line of the comparison: a driver at a number of connections, and its rounds."""

    driver: Ours | Peer
    connections: int
    rounds: list[Measured] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return self.driver.name

    @property
    def best(self) -> float:
        """Replies a second in its best round."""
        return max(one.rate for one in self.rounds)

    @property
    def median(self) -> float:
        """Replies a second in the middle one of its rounds."""
        return statistics.median(one.rate for one in self.rounds)

    @property
    def cpu_median(self) -> float:
        """CPU time a reply, in the middle one of its rounds."""
        return statistics.median(one.cpu_us for one in self.rounds)

    @property
    def cpu_us(self) -> float:
        """CPU time a reply, in the round where it was least."""
        return min(one.cpu_us for one in self.rounds)


async def measure(entry: Entry, server: FixedReply, trial: Trial, supervisor: Supervisor, seconds: float) -> Measured:
    """One round.

    Raises:
        UntrustedError: the driver sends nothing, or ends before it was measured.
    """
    async with entry.driver.running(trial, supervisor) as pid:
        await _begun(server, entry.name, trial)
        await asyncio.sleep(WARM_S)
        process = psutil.Process(pid)
        cpu, count = _cpu_s(process), server.count()
        await asyncio.sleep(seconds)
        later, used = server.count(), _cpu_s(process) - cpu
        replies = later.replies - count.replies
        if replies < seconds:
            raise UntrustedError(f"{entry.name} stopped sending", f"its log is {trial.scratch}")
        return Measured(later.rate(count), used / replies * 1e6, process.memory_info().rss)


async def _begun(server: FixedReply, name: str, trial: Trial) -> None:
    first = server.count().replies
    for _ in range(round(BEGUN_S / 0.05)):
        await asyncio.sleep(0.05)
        if server.count().replies > first:
            return
    raise UntrustedError(f"{name} has sent nothing for {BEGUN_S:g} s", f"its log is in {trial.scratch}")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Comparison:
    """The entries, measured round by round."""

    def __init__(
        self, entries: Sequence[Entry], seconds: float, console: Console, floors: Mapping[str, float] = FLOORS
    ) -> None:
        self.entries = entries
        self._floors = floors
        self._seconds = seconds
        self._console = console

    async def rounds(self, number: int, most: int) -> None:
        """So many rounds; as long as a floor does not hold, more of them up to ``most``."""
        server_core, core = two_cores()
        async with start_supervisor("bench-driver", {}) as supervisor, fixed_reply(supervisor, server_core) as server:
            nth = 0
            while nth < number or (nth < most and self.broken()):
                for entry in self.entries if nth % 2 == 0 else reversed(self.entries):
                    trial = Trial(server.url, entry.connections, core, supervisor.scratch)
                    entry.rounds.append(await measure(entry, server, trial, supervisor, self._seconds))
                    self._tell(nth, entry)
                nth += 1

    def _tell(self, nth: int, entry: Entry) -> None:
        last = entry.rounds[-1]
        self._console.print(
            f"round {nth + 1}: {entry.name}, {entry.connections} connections: {last.rate:,.0f}/s, "
            f"{last.cpu_us:.1f} us of CPU each"
        )

    def entry(self, name: str, connections: int) -> Entry | None:
        """The line of a driver, where there is one."""
        return next((e for e in self.entries if (e.name, e.connections) == (name, connections)), None)

    def ratio(self, name: str, connections: int) -> float | None:
        """Ours to theirs, each in its best round."""
        ours, theirs = self.entry(OURS, connections), self.entry(name, connections)
        return round(ours.best / theirs.best, 3) if ours and theirs else None

    def cpu_ratio(self, name: str, connections: int) -> float | None:
        """Their CPU time a request to ours."""
        ours, theirs = self.entry(OURS, connections), self.entry(name, connections)
        return round(theirs.cpu_median / ours.cpu_median, 3) if ours and theirs else None

    def broken(self) -> list[str]:
        """The floors that do not hold."""
        told = self.figures()
        return [
            f"{key} is {told[key]}, below {floor}" for key, floor in self._floors.items() if _below(told[key], floor)
        ]

    def figures(self) -> dict[str, float | int | None]:
        """What the last line says."""
        ours, many = self.entry(OURS, FEW), self.entry(OURS, MANY)
        ratios = {f"{peer.key}_ratio": self.ratio(peer.name, FEW) for peer in PEERS}
        return {
            "engine_rps": round(ours.best) if ours else None,
            "engine_1000_rps": round(many.best) if many else None,
            **ratios,
            "wrk_1000_ratio": self.ratio(WRK.name, MANY),
            "fasthttp_cpu_ratio": self.cpu_ratio(FAST_HTTP.name, FEW),
            "wrk_cpu_ratio": self.cpu_ratio(WRK.name, FEW),
            "cpu_us_per_request": round(ours.cpu_us, 2) if ours else None,
            "bytes_per_session": _bytes_per_session(ours, many),
            "rounds": len(self.entries[0].rounds),
            "seconds": self._seconds,
        }


def _below(ratio: float | None, floor: float) -> bool:
    return ratio is not None and ratio < floor


def _bytes_per_session(few: Entry | None, many: Entry | None) -> int | None:
    """What each further session costs in resident memory."""
    if few is None or many is None:
        return None
    more = statistics.median(one.memory for one in many.rounds) - statistics.median(one.memory for one in few.rounds)
    return round(more / (many.connections - few.connections))
