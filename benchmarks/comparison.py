"""Compares drivers: they run in alternating rounds, are measured in the same way, and the best rounds count.

The measurement is at the server: how many responses the kernel saw nginx write between two moments, and how much CPU
time the driver used in between. Other work on the machine can only slow down a round, never speed it up, so the best
round of each driver is compared.
"""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil
from rich.console import Console

from benchmarks.cores import two_cores
from benchmarks.drivers import FAST_HTTP, OURS, PEERS, WRK, Ours, Peer, Trial
from benchmarks.fixed import FixedResponse, fixed_response
from benchmarks.probes import cpu_seconds
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.errors import UntrustedError
from harness.common.waiting import wait_until

FEW, MANY = 32, 1000
#: Requests per second of the harness divided by those of the other driver; below these floors the comparison fails.
FLOORS = {"fasthttp_ratio": 10.0, "wrk_ratio": 0.6, "wrk_1000_ratio": 0.5}
#: CPU time per request of the other driver divided by that of the harness, each in its best round. Other work on the
#: machine raises CPU time per request (shared caches and cores), sometimes twofold, but never lowers it, so the best of
#: enough rounds holds anywhere. These detect a driver that became slower, but not its top speed.
CI_FLOORS = {"fasthttp_cpu_ratio": 6.0, "wrk_cpu_ratio": 0.4}
WARMUP_S = 1.0
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Round:
    """One round of one driver."""

    rate: float  # responses per second
    cpu_us: float  # of the driver, per response
    memory: int  # resident bytes


@dataclass
class Entry:
    """One line of the comparison: a driver at a number of connections, and its rounds."""

    driver: Ours | Peer
    connections: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name in the table."""
        return self.driver.name

    @property
    def best(self) -> float:
        """Responses per second in the best round."""
        return max(measured.rate for measured in self.rounds)

    @property
    def median(self) -> float:
        """Responses per second in the median round."""
        return statistics.median(measured.rate for measured in self.rounds)

    @property
    def cpu_us(self) -> float:
        """The least CPU time per response of all rounds, in microseconds."""
        return min(measured.cpu_us for measured in self.rounds)


async def measure(entry: Entry, server: FixedResponse, trial: Trial, supervisor: Supervisor, seconds: float) -> Round:
    """Measure one round.

    Raises:
        UntrustedError: the driver sends nothing, or ends before it was measured.
    """
    async with entry.driver.start(trial, supervisor) as pid:
        await _wait_for_requests(server, entry.name, trial)
        await asyncio.sleep(WARMUP_S)
        process = psutil.Process(pid)
        cpu, count = cpu_seconds(process), server.count()
        await asyncio.sleep(seconds)
        later, used = server.count(), cpu_seconds(process) - cpu
        responses = later.responses - count.responses
        if responses < seconds:
            raise UntrustedError(f"{entry.name} stopped sending", f"its log is in {trial.scratch}")
        return Round(later.rate(count), used / responses * 1e6, process.memory_info().rss)


async def _wait_for_requests(server: FixedResponse, name: str, trial: Trial) -> None:
    first = server.count().responses
    if not await wait_until(lambda: server.count().responses > first, START_TIMEOUT_S, 0.05):
        raise UntrustedError(f"{name} has sent nothing for {START_TIMEOUT_S:g} s", f"its log is in {trial.scratch}")


class Comparison:
    """The entries of the comparison, measured in rounds."""

    def __init__(
        self, entries: Sequence[Entry], seconds: float, console: Console, floors: Mapping[str, float] = FLOORS
    ) -> None:
        self.entries = entries
        self._floors = floors
        self._seconds = seconds
        self._console = console

    async def measure_rounds(self, rounds: int, max_rounds: int) -> None:
        """Measure ``rounds`` rounds, and more up to ``max_rounds`` while a floor does not hold."""
        server_core, core = two_cores()
        async with (
            start_supervisor("bench-driver", {}) as supervisor,
            fixed_response(supervisor, server_core) as server,
        ):
            count = 0
            while count < rounds or (count < max_rounds and self.broken()):
                for entry in self.entries if count % 2 == 0 else reversed(self.entries):
                    trial = Trial(server.url, entry.connections, core, supervisor.scratch)
                    entry.rounds.append(await measure(entry, server, trial, supervisor, self._seconds))
                    self._print_round(count, entry)
                count += 1

    def _print_round(self, index: int, entry: Entry) -> None:
        last = entry.rounds[-1]
        self._console.print(
            f"round {index + 1}: {entry.name}, {entry.connections} connections: {last.rate:,.0f} requests per second, "
            f"{last.cpu_us:.1f} us of CPU per request"
        )

    def entry(self, name: str, connections: int) -> Entry | None:
        """The entry of a driver, if there is one."""
        return next((e for e in self.entries if (e.name, e.connections) == (name, connections)), None)

    def ratio(self, name: str, connections: int) -> float | None:
        """Requests per second of the harness divided by those of another driver, each in its best round."""
        ours, theirs = self.entry(OURS, connections), self.entry(name, connections)
        return round(ours.best / theirs.best, 3) if ours and theirs else None

    def cpu_ratio(self, name: str, connections: int) -> float | None:
        """CPU time per request of another driver divided by that of the harness, each in its best round."""
        ours, theirs = self.entry(OURS, connections), self.entry(name, connections)
        return round(theirs.cpu_us / ours.cpu_us, 3) if ours and theirs else None

    def broken(self) -> list[str]:
        """A line for each floor that does not hold."""
        figures = self.figures()
        return [
            f"{key} is {figures[key]}, below {floor}"
            for key, floor in self._floors.items()
            if _is_below(figures[key], floor)
        ]

    def figures(self) -> dict[str, float | int | None]:
        """The JSON object of the last line."""
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


def _is_below(ratio: float | None, floor: float) -> bool:
    return ratio is not None and ratio < floor


def _bytes_per_session(few: Entry | None, many: Entry | None) -> int | None:
    """Resident memory per additional session."""
    if few is None or many is None:
        return None
    more = statistics.median(measured.memory for measured in many.rounds) - statistics.median(
        measured.memory for measured in few.rounds
    )
    return round(more / (many.connections - few.connections))
