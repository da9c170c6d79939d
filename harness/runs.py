"""A Run: a directory that holds all of it, written in stages (plan, observations, then the rest), each atomically.

A crash costs the later stages only: an arm that was cut off is read from its spool.
"""

import csv
import errno
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import pandas as pd
import pyarrow.parquet as pq

from harness import spool
from harness.errors import EnvironmentLacksError, HarnessError, UsageError
from harness.observations import Effect, Event, Sample
from harness.oracle.judge import Judgement, judge
from harness.oracle.testimony import Testimony
from harness.summary import SCHEMA, Summary
from harness.tallied import FILE, Tallied
from harness.verdicts import Verdict


@dataclass(frozen=True)
class Plan:
    """What was going to be run, and where: the content of run.json."""

    run: str
    scenario: str
    path: str
    sha256: str
    source: str
    seed: int
    flags: Mapping[str, Any]
    load: Mapping[str, Any]
    arms: Sequence[tuple[str, str, int]]  # (design, arm, repeat from 1), in the order they run
    designs: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str
    schema: int = SCHEMA


@dataclass(frozen=True)
class ArmObservations:
    """Everything observed of one arm.

    ``requests`` has the columns of requests.parquet (docs/results.md): ``session, writer, op, name, method, status,
    outcome, anomaly, replica, boot, phase, t_intended, t_sent, t_first, t_end, bytes_sent, bytes_received, reconnected,
    attempts``; name, method, outcome, anomaly, replica and boot are categories, times are ns from T0 (-1: never).
    ``phase`` is 1 for the final sweep. ``effects`` is the effect journal, in its order.
    """

    design: str
    arm: str  # fault | control
    requests: pd.DataFrame
    events: tuple[Event, ...]
    samples: tuple[Sample, ...]
    judgements: tuple[Judgement, ...]
    warmup: float  # seconds
    duration: float  # seconds
    effects: tuple[Effect, ...] = ()
    complete: bool = True
    repeat: int = 1
    driver: Mapping[str, float | int | str | None] = field(default_factory=dict)  # the last snapshot's own figures
    tallied: Tallied | None = None  # in place of requests, where those were not recorded


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
        """What the load process appends."""
        return self.path / "spool"

    def make(self) -> None:
        """Make the directories."""
        with writing(self.path):
            self.logs.mkdir(parents=True, exist_ok=True)
            self.spool.mkdir(exist_ok=True)

    def keep(
        self, events: Iterable[Event], samples: Iterable[Sample], refused: Iterable[int], facts: Mapping[str, Any]
    ) -> None:
        """Turn the spool into Parquet and keep the rest beside it; ``arm.json`` comes last: all is there."""
        with writing(self.path):
            write_text(self.path / "events.jsonl", "".join(json.dumps(asdict(event)) + "\n" for event in events))
            self._keep_samples(samples)
            _write_parquet(spool.read(self.spool), self.path / "requests.parquet")
            write_text(self.path / "ledgers.jsonl", spool.ledgers(self.spool))
            tallied = spool.tallied(self.spool)
            if tallied is not None:
                write_text(self.path / FILE, json.dumps(tallied.to_json()))
            write_text(self.path / "arm.json", json.dumps({**facts, "refused": sorted(refused)}, indent=1))
            shutil.rmtree(self.spool)

    def _keep_samples(self, samples: Iterable[Sample]) -> None:
        with (self.path / "samples.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(column.name for column in fields(Sample))
            writer.writerows((f"{s.t:.3f}", s.role, s.name, f"{s.cpu:.4f}", f"{s.memory_mb:.2f}") for s in samples)

    def requests(self) -> pd.DataFrame:
        """The requests of a kept arm, or of the spool that a crash left."""
        parquet = self.path / "requests.parquet"
        if parquet.exists():
            return _read_parquet(parquet)
        return spool.read(self.spool)

    def observations(self, design: str, arm: str, load: Mapping[str, Any], repeat: int = 1) -> ArmObservations:
        """All of it, judged.

        Raises:
            UsageError: a file of it is cut off, or was changed after the run.
        """
        try:
            return self._observations(design, arm, load, repeat)
        except (ValueError, KeyError, TypeError, IndexError, OSError) as problem:
            raise UsageError(
                f"what was observed in {self.path} is cut off or was changed: {str(problem).splitlines()[0]}",
                "run the scenario again; the run's other arms can be read without this directory",
            ) from problem

    def _observations(self, design: str, arm: str, load: Mapping[str, Any], repeat: int) -> ArmObservations:
        facts = self._facts()
        return ArmObservations(
            design=design,
            arm=arm,
            requests=self.requests(),
            events=tuple(Event(**line) for line in _json_lines(self.path / "events.jsonl")),
            samples=tuple(self._samples()),
            judgements=self._judgements(frozenset(facts.get("refused", ()))),
            warmup=float(facts.get("warmup", load["warmup_s"])),
            duration=float(facts.get("duration", load["duration_s"])),
            effects=tuple(self._effects()),
            complete=bool(facts.get("complete", False)),
            repeat=repeat,
            driver=facts.get("driver", {}),
            tallied=self._tallied(),
        )

    def _tallied(self) -> Tallied | None:
        kept = self.path / FILE
        return Tallied.from_json(json.loads(kept.read_text())) if kept.exists() else spool.tallied(self.spool)

    def _facts(self) -> dict[str, Any]:
        path = self.path / "arm.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _judgements(self, refused: frozenset[int]) -> tuple[Judgement, ...]:
        kept = [self.path, *spool.parts(self.spool)]
        lines = itertools.chain.from_iterable(_json_lines(part / "ledgers.jsonl") for part in kept)
        return tuple(judge(Testimony.from_json(line), refused) for line in lines)

    def _effects(self) -> Iterator[Effect]:
        for line in _json_lines(self.logs / "journal.jsonl"):
            yield Effect(int(line["op"], 16), str(line.get("effect", "")), str(line.get("boot", "")))

    def _samples(self) -> Iterator[Sample]:
        path = self.path / "samples.csv"
        if not path.exists():
            return
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                yield Sample(float(row["t"]), row["role"], row["name"], float(row["cpu"]), float(row["memory_mb"]))


@dataclass(frozen=True)
class Run:
    """A run directory, made or opened."""

    path: Path
    plan: Plan

    @classmethod
    def create(cls, results: Path, plan: Plan) -> Self:
        """Make ``results/<scenario>/<run>/`` with its run.json, and point ``latest`` at it.

        Raises:
            UsageError: the directory cannot be written.
        """
        path = results / plan.scenario / plan.run
        with writing(path):
            path.mkdir(parents=True)
            write_text(path / "run.json", json.dumps(asdict(plan), indent=1))
            _point_latest(path)
        return cls(path, plan)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run directory.

        Raises:
            UsageError: it is no run, is cut off before its plan, or has another schema.
        """
        plan = _json_object(path / "run.json", f"{path} is not a run: it has no readable run.json")
        if plan.get("schema") != SCHEMA:
            raise UsageError(
                f"{path} has schema {plan.get('schema')}, this harness reads schema {SCHEMA}",
                "run the scenario again, or read it with the version that wrote it",
            )
        try:
            return cls(path.resolve(), Plan(**plan))
        except TypeError as problem:
            raise UsageError(f"{path}/run.json is cut off or foreign: {problem}", "run the scenario again") from problem

    def arm(self, design: str, arm: str, repeat: int = 1) -> ArmFiles:
        """Where an arm's observations lie (whether they are there yet or not)."""
        suffix = f".{repeat}" if repeat > 1 else ""
        return ArmFiles(self.path / "observations" / f"{design}-{arm}{suffix}")

    def observations(self) -> tuple[ArmObservations, ...]:
        """Every arm that left something, in the order of the plan.

        Raises:
            UsageError: there is none.
        """
        found = [(design, arm, repeat, self.arm(design, arm, repeat)) for design, arm, repeat in self.plan.arms]
        arms = tuple(
            files.observations(design, arm, self.plan.load, repeat)
            for design, arm, repeat, files in found
            if files.path.exists()
        )
        if not arms:
            raise UsageError(f"{self.path} holds no observations", "the run was cut off before its first arm began")
        return arms

    def measured(self) -> bool:
        """Whether any arm has left requests."""
        files = [self.arm(*arm) for arm in self.plan.arms]
        return any((one.path / "requests.parquet").exists() or one.spool.exists() for one in files)

    def keep_summary(self, summary: Summary, verdicts: Sequence[Verdict]) -> None:
        """Write summary.json and verdicts.json."""
        with writing(self.path):
            write_text(self.path / "summary.json", json.dumps(summary_json(summary), indent=1))
            write_text(self.path / "verdicts.json", json.dumps([asdict(verdict) for verdict in verdicts], indent=1))

    def check_summary(self) -> None:
        """Refuse to overwrite a summary that another version wrote.

        Raises:
            UsageError: there is one, of another schema.
        """
        path = self.path / "summary.json"
        with suppress(OSError, ValueError):
            kept = json.loads(path.read_text())
            if isinstance(kept, dict) and kept.get("schema") != SCHEMA:
                raise UsageError(
                    f"{path} has schema {kept.get('schema')}, this harness writes schema {SCHEMA}",
                    "read it with the version that wrote it, or remove summary.json and report again",
                )

    def keep_controls(self, controls: Mapping[str, Any]) -> None:
        """Write what the controls measured, before any of it is judged."""
        with writing(self.path):
            write_text(self.path / "observations" / "controls.json", json.dumps(controls, indent=1))

    def controls(self) -> dict[str, Any]:
        """What the controls measured; empty where they did not run."""
        path = self.path / "observations" / "controls.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def summary_json(self) -> dict[str, Any]:
        """summary.json as it stands.

        Raises:
            UsageError: it is missing, cut off, or of another schema.
        """
        summary = _json_object(self.path / "summary.json", f"{self.path} has no readable summary.json")
        if summary.get("schema") != SCHEMA:
            raise UsageError(f"{self.path}/summary.json has schema {summary.get('schema')}, not {SCHEMA}")
        return summary

    def summary(self) -> Summary:
        """summary.json as what it was written from.

        Raises:
            UsageError: it is missing, cut off, of another schema, or not what this harness writes.
        """
        try:
            return msgspec.convert(self.summary_json(), Summary)
        except msgspec.ValidationError as problem:
            what = f"{self.path}/summary.json is foreign: {problem}"
            raise UsageError(what, f"harness report {self.path} writes it anew") from problem

    def verdicts(self) -> tuple[Verdict, ...]:
        """verdicts.json as what it was written from.

        Raises:
            UsageError: it is missing, cut off, or foreign.
        """
        try:
            return msgspec.json.decode((self.path / "verdicts.json").read_bytes(), type=tuple[Verdict, ...])
        except (OSError, msgspec.MsgspecError) as problem:
            what = f"{self.path} has no readable verdicts.json"
            raise UsageError(what, f"harness report {self.path} writes it anew") from problem


def summary_json(summary: Summary) -> dict[str, Any]:
    """The summary in the contract's order of keys."""
    return {"schema": summary.schema, **{k: v for k, v in asdict(summary).items() if k != "schema"}}


def new_run_id(now: datetime | None = None) -> str:
    """``<UTC time>-<id>``, in the order of time."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell a failed write as what it is: a full disk is the environment's, the rest is the path's."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentLacksError(
                f"no space left where {path} lies; what was measured before is kept",
                "free some space (harness clean --runs removes old runs) or choose another place with --out",
            ) from problem
        raise UsageError(f"cannot write {path}: {problem.strerror}", "choose another place with --out") from problem


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def _write_parquet(requests: pd.DataFrame, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    requests.to_parquet(part, index=False)
    part.replace(path)


def _read_parquet(path: Path) -> pd.DataFrame:
    """As ``pd.read_parquet``, but a column at a time gives its memory back: never the whole table twice."""
    table = pq.read_table(path)
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def _point_latest(path: Path) -> None:
    link = path.parent / ".latest.part"
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    os.replace(link, path.parent / "latest")  # noqa: PTH105 - Path.replace would follow nothing either, but says less


def _json_object(path: Path, problem: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as cause:
        raise UsageError(
            problem, "name a directory under results/<scenario>/, such as results/node_kill/latest"
        ) from cause
    if not isinstance(value, dict):
        raise UsageError(problem, "it was changed after the run; harness report writes all but run.json anew")
    return value


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a JSON-lines file; a torn last one, which a crash leaves, is passed over."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    for index, line in enumerate(lines):
        try:
            yield json.loads(line)
        except ValueError as problem:
            if index == len(lines) - 1:
                return
            raise HarnessError(f"{path}:{index + 1} is not JSON", "the file was changed after the run") from problem
