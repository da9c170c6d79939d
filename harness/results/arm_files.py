"""The files of one arm, and what is read from them."""

import csv
import itertools
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from harness.common.durations import MAX_SECONDS
from harness.common.errors import UsageError
from harness.observations.aggregates import AGGREGATES_FILE, AggregateStats
from harness.observations.events import Effect, Event
from harness.observations.faults import FaultRecord, pair_faults
from harness.observations.samples import Sample, Snapshot
from harness.oracle.history import SessionHistory
from harness.oracle.judge import judge
from harness.oracle.verdict import SessionVerdict
from harness.results import spool
from harness.results.files import (
    check_type,
    decode_json,
    explain_write_errors,
    read_json_lines,
    read_parquet,
    write_parquet,
    write_text,
)


@dataclass(frozen=True)
class ArmObservations:
    """Everything observed of one arm.

    ``requests`` has one row per request and the columns of requests.parquet (docs/results.md) but for ``writer``, which
    always equals ``session``: ``session, op, name, method, status, outcome, anomaly, replica, boot, phase, t_intended,
    t_sent, t_first, t_end, bytes_sent, bytes_received, reconnected, attempts``; name, method, outcome, anomaly, replica
    and boot are categories, times are ns from T0 (-1: never). ``LoadRequests`` selects the load phase of it.
    ``effects`` is the effect journal, in its order. ``faults`` are paired from ``events``.

    Raises:
        ValueError: the events of a fault contradict each other.
    """

    design: str
    arm: str  # fault | control
    requests: pd.DataFrame
    events: tuple[Event, ...]
    samples: tuple[Sample, ...]
    judgements: tuple[SessionVerdict, ...]
    warmup: float  # seconds
    duration: float  # seconds
    effects: tuple[Effect, ...] = ()
    complete: bool = True
    repeat: int = 1
    driver: Mapping[str, float | int | str | None] = field(default_factory=dict)  # the last snapshot's own figures
    aggregates: AggregateStats | None = None  # in place of requests, where those were not recorded
    faults: tuple[FaultRecord, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "faults", pair_faults(self.events))


@dataclass(frozen=True)
class ArmFacts:
    """What arm.json holds. An arm that was cut off has none: its times are those of the plan."""

    warmup: float
    duration: float
    complete: bool = False
    driver: Mapping[str, float | int | str | None] = field(default_factory=dict)
    refused: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= self.duration <= MAX_SECONDS:
            raise ValueError(f"a warm-up of {self.warmup:g} s does not lie in {self.duration:g} s")
        check_type(Snapshot(**{"n": 0, "t": 0.0, **self.driver}), Snapshot)  # type: ignore[arg-type]


@dataclass(frozen=True)
class JournalLine:
    """A line of the effect journal, as the service wrote it; ``op`` is in hexadecimal digits."""

    op: str
    effect: str = ""
    boot: str = ""

    @property
    def parsed(self) -> Effect:
        """The effect."""
        return Effect(int(self.op, 16), self.effect, self.boot)


@dataclass(frozen=True)
class ArmFiles:
    """Where one arm's observations lie."""

    path: Path

    @property
    def logs(self) -> Path:
        """Every part's log, and the effect journal."""
        return self.path / "logs"

    @property
    def spool(self) -> Path:
        """The records that the load process appends."""
        return self.path / "spool"

    def create(self) -> None:
        """Make the directories."""
        with explain_write_errors(self.path):
            self.logs.mkdir(parents=True, exist_ok=True)
            self.spool.mkdir(exist_ok=True)

    def keep(
        self, events: Iterable[Event], samples: Iterable[Sample], refused: Iterable[int], facts: Mapping[str, Any]
    ) -> None:
        """Turn the spool into Parquet and write the rest beside it; ``arm.json`` comes last: all is there."""
        with explain_write_errors(self.path):
            write_text(self.path / "events.jsonl", "".join(json.dumps(asdict(event)) + "\n" for event in events))
            self._write_samples(samples)
            write_parquet(spool.read_requests(self.spool), self.path / "requests.parquet")
            write_text(self.path / "ledgers.jsonl", spool.read_ledger_lines(self.spool))
            aggregates = spool.read_aggregates(self.spool)
            if aggregates is not None:
                write_text(self.path / AGGREGATES_FILE, json.dumps(aggregates.to_json()))
            write_text(self.path / "arm.json", json.dumps({**facts, "refused": sorted(refused)}, indent=1))
            shutil.rmtree(self.spool)

    def _write_samples(self, samples: Iterable[Sample]) -> None:
        with (self.path / "samples.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(column.name for column in fields(Sample))
            writer.writerows(
                (f"{s.t:.3f}", s.role, s.name, f"{s.cpu:.4f}", f"{s.memory_mb:.2f}", f"{s.waited:.4f}") for s in samples
            )

    def read_requests(self) -> pd.DataFrame:
        """The requests of a kept arm, or of the spool that a crash left; without ``writer``, a copy of ``session``.

        Raises:
            ValueError: a column is missing, or holds something else.
        """
        parquet = self.path / "requests.parquet"
        if parquet.exists():
            return spool.check_requests(read_parquet(parquet, without=("writer",)))
        return spool.check_requests(spool.read_requests(self.spool).drop(columns="writer"))

    def read_observations(self, design: str, arm: str, times: tuple[float, float], repeat: int = 1) -> ArmObservations:
        """All of it, judged. ``times`` are the warm-up and the duration of an arm that was cut off.

        Raises:
            UsageError: a file of it is cut off, or was changed after the run.
        """
        try:
            return self._read(design, arm, times, repeat)
        except Exception as problem:  # each decoder has its own errors for bytes that are not what it wrote
            reason = str(problem).splitlines() or [repr(problem)]
            raise UsageError(
                f"what was observed in {self.path} is cut off or was changed: {reason[0]}",
                "run the scenario again; the run's other arms can be read without this directory",
            ) from problem

    def _read(self, design: str, arm: str, times: tuple[float, float], repeat: int) -> ArmObservations:
        path, kept = self.path / "arm.json", self.path / AGGREGATES_FILE
        facts = decode_json(path.read_bytes(), ArmFacts) if path.exists() else ArmFacts(*times)
        return ArmObservations(
            design=design,
            arm=arm,
            requests=self.read_requests(),
            events=tuple(self._read_events()),
            samples=tuple(self._read_samples()),
            judgements=tuple(judge(history, facts.refused) for history in self._read_histories()),
            warmup=facts.warmup,
            duration=facts.duration,
            effects=tuple(line.parsed for line in read_json_lines(self.logs / "journal.jsonl", JournalLine)),
            complete=facts.complete,
            repeat=repeat,
            driver=facts.driver,
            aggregates=spool.read_aggregates_file(kept) if kept.exists() else spool.read_aggregates(self.spool),
        )

    def _read_events(self) -> Iterator[Event]:
        for event in read_json_lines(self.path / "events.jsonl", Event):
            if abs(event.t) > MAX_SECONDS:
                raise ValueError(f"events.jsonl holds a time that no run reaches: {event.t:g} s")
            yield event

    def _read_histories(self) -> Iterator[SessionHistory]:
        places = [self.path, *spool.list_parts(self.spool)]
        files = [read_json_lines(place / "ledgers.jsonl", dict[str, Any]) for place in places]
        for line in itertools.chain(*files):
            yield check_type(SessionHistory.from_json(line), SessionHistory)

    def _read_samples(self) -> Iterator[Sample]:
        path = self.path / "samples.csv"
        if not path.exists():
            return
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                numbers = [float(row[name]) for name in ("t", "cpu", "memory_mb")]
                numbers.append(float(row.get("waited", 0.0)))  # older runs have no such column
                if not all(map(math.isfinite, numbers)):
                    raise ValueError(f"samples.csv holds {numbers}")
                yield Sample(numbers[0], row["role"], row["name"], *numbers[1:])
