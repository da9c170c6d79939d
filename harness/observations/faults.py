"""One record per fault, from its command to its undo, paired from the events of the timeline here and only here."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from harness.observations.events import Detail, DetailValue, Event, EventKind

#: The key under which an event's detail holds the id of its fault.
FAULT_ID = "fault"
#: In the evidence that pods ended: the steps of their ends, in seconds from the command.
_STEP = re.compile(r"(?:r\d+_)?(?:sigterm|endpoint_left|container_ended|gone)_s")


@dataclass(frozen=True)
class FaultRecord:
    """One fault of an arm. Times are seconds from T0; None where that moment was not reached.

    ``evidence`` shows that the fault took effect; the keys that begin with ``healed_`` show that it was undone.
    """

    id: int  # from 1, in the order of the commands
    kind: str
    target: str
    commanded: float
    effective: float | None = None
    healed: float | None = None
    evidence: Detail = field(default_factory=dict)

    def __post_init__(self) -> None:
        times = [t for t in (self.commanded, self.effective, self.healed) if t is not None]
        if times != sorted(times):
            raise ValueError(f"{self.kind} of {self.target} was commanded, effective and healed out of order: {times}")

    @property
    def onset(self) -> float | None:
        """When it began to have an effect: a pod refuses requests before there is evidence that it is gone."""
        if self.effective is None:
            return None
        steps = [seconds for key, seconds in self.evidence.items() if _STEP.fullmatch(key)]
        moments = [round(self.commanded + seconds, 9) for seconds in steps if isinstance(seconds, int | float)]
        return max(self.commanded, min([self.effective, *moments]))

    @property
    def active(self) -> bool:
        """Whether it has taken effect and is not undone."""
        return self.effective is not None and self.healed is None


class FaultLog:
    """Pairs the events of faults while they arrive. Other events are ignored."""

    def __init__(self) -> None:
        self._records: dict[int, FaultRecord] = {}

    @property
    def records(self) -> tuple[FaultRecord, ...]:
        """Every fault so far, in the order of the commands."""
        return tuple(self._records.values())

    def add(self, event: Event) -> None:
        """Take in one event, after all that came before it.

        Raises:
            ValueError: the event contradicts an earlier one of the same fault.
        """
        if event.kind == EventKind.FAULT_COMMANDED:
            number = int(event.detail.get(FAULT_ID) or len(self._records) + 1)
            self._records[number] = FaultRecord(number, str(event.detail.get("kind")), event.subject, event.t)
        elif event.kind == EventKind.FAULT_EFFECTIVE:
            record = self._find(event, [record for record in self.records if record.effective is None])
            if record is not None:
                evidence = {**record.evidence, **_read_evidence(event)}
                self._records[record.id] = replace(record, effective=event.t, evidence=evidence)
        elif event.kind == EventKind.FAULT_HEALED:
            record = self._find(event, [record for record in self.records if record.healed is None])
            if record is not None:
                evidence = {**record.evidence, **{f"healed_{k}": v for k, v in _read_evidence(event).items()}}
                self._records[record.id] = replace(record, healed=event.t, evidence=evidence)

    def _find(self, event: Event, waiting: Sequence[FaultRecord]) -> FaultRecord | None:
        """The fault of an event: by its id, or in older runs the latest of its kind and target that waits for it."""
        number = event.detail.get(FAULT_ID)
        if number is not None:
            return self._records.get(int(number))
        fault = (str(event.detail.get("kind")), event.subject)
        return next((record for record in reversed(waiting) if (record.kind, record.target) == fault), None)


def _read_evidence(event: Event) -> dict[str, DetailValue]:
    return {key: value for key, value in event.detail.items() if key != FAULT_ID}


def pair_faults(events: Iterable[Event]) -> tuple[FaultRecord, ...]:
    """The faults that these events, in the order of time, are about.

    Raises:
        ValueError: the events contradict each other.
    """
    log = FaultLog()
    for event in events:
        log.add(event)
    return log.records
