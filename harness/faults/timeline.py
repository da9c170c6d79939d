"""Faults on the clock of the load. What is still broken at the end of the scope is undone, in reverse order."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from harness.cluster.capabilities import Evidence
from harness.common.background import finish
from harness.common.clock import Clock
from harness.common.errors import HarnessError, UntrustedError, UsageError
from harness.faults.fault import Compound, FaultTopology, Observation, Reversible
from harness.observations.events import Detail, Event, EventKind
from harness.observations.faults import FAULT_ID
from harness.scenario.faults import At, Fault

Record = Callable[[Event], None]
#: What helps where a workload was not ready in time; in the message, the only line that a broken arm keeps.
_MORE_TIME = "; --ready-within, or ready_within= in a scenario, gives it more time"


class InjectedFault(NamedTuple):
    """A fault that was injected and not undone yet, with the id that its events carry (from 1)."""

    id: int
    fault: Reversible


class Timeline:
    """Plays faults at their times and keeps what is broken until it is undone."""

    def __init__(self, topology: FaultTopology, clock: Clock, record: Record) -> None:
        self._topology = topology
        self._clock = clock
        self._record = record
        self._broken: list[InjectedFault] = []
        self._ids = itertools.count(1)

    async def play(self, faults: Sequence[At]) -> None:
        """Wait for the time of each fault and inject it."""
        await self._play_from(faults, 0.0)

    async def _play_from(self, faults: Iterable[At], begin: float) -> None:
        for at in faults:
            await asyncio.sleep(max(0.0, begin + at.seconds - self._clock.seconds()))
            await self._play_one(at.fault)

    async def _play_one(self, fault: Fault) -> None:
        if isinstance(fault, Compound):
            await self._play_from(fault.steps(self._topology), self._clock.seconds())
        elif fault.ends is not None:
            await self.undo(self._find_ended(fault))
        elif isinstance(fault, Reversible):
            await self._inject(fault)
        elif isinstance(fault, Observation):
            await fault.look(self._topology)

    async def undo_all(self) -> None:
        """Undo all that is still broken. A failed undo is raised after the others were tried.

        Raises:
            HarnessError: the first undo that failed.
        """
        problems = []
        while self._broken:
            try:
                await self.undo(self._broken[-1])
            except HarnessError as problem:
                problems.append(problem)
        if problems:
            raise problems[0]

    async def undo(self, injected: InjectedFault) -> None:
        """Undo one fault and record the evidence."""
        self._broken.remove(injected)
        evidence = await injected.fault.undo(self._topology)
        self._record_evidence(EventKind.FAULT_HEALED, injected, evidence)

    async def _inject(self, fault: Reversible) -> None:
        injected = InjectedFault(next(self._ids), fault)
        begun = self._clock.seconds() if fault.begun is None else self._clock.at(round(fault.begun * 1e9))
        self._record_event(EventKind.FAULT_COMMANDED, injected, {}, begun)
        self._broken.append(injected)
        self._record_evidence(EventKind.FAULT_EFFECTIVE, injected, await fault.inject(self._topology))
        if fault.passes:
            await self.undo(injected)

    def _record_event(self, kind: EventKind, injected: InjectedFault, facts: Detail, t: float) -> None:
        fault = injected.fault
        detail = {"kind": fault.kind, **facts, FAULT_ID: injected.id}
        self._record(Event(t, kind, fault.target, detail))

    def _record_evidence(self, kind: EventKind, injected: InjectedFault, evidence: Evidence) -> None:
        fault = injected.fault
        self._record_event(kind, injected, evidence.facts, self._clock.seconds())
        if not evidence.confirmed:
            more_time = _MORE_TIME if "waits_for" in evidence.facts else ""
            problem = f"the fault {fault.kind} on {fault.target} did not land: {dict(evidence.facts)}{more_time}"
            raise UntrustedError(problem)

    def _find_ended(self, ending: Fault) -> InjectedFault:
        for injected in reversed(self._broken):
            if (injected.fault.kind, injected.fault.target) == (ending.ends, ending.target):
                return injected
        raise UsageError(f"nothing to end: no {ending.ends} of {ending.target} comes before it on the timeline")


@asynccontextmanager
async def timeline(faults: Sequence[At], topology: FaultTopology, clock: Clock, record: Record) -> AsyncIterator[None]:
    """Play the faults while the scope is open; at its end undo what is left, even after an error.

    Raises:
        UntrustedError: a fault, or its undo, did not land.
    """
    line = Timeline(topology, clock, record)
    playing = asyncio.create_task(line.play(faults))
    try:
        yield
        await playing
    finally:
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(playing, return_exceptions=True)
        await finish(line.undo_all())  # an interrupt must not leave a workload of others broken
