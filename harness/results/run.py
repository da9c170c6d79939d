"""A run: a directory with all that was measured, written in stages (plan, observations, the rest), each atomically.

A crash costs the later stages only: an arm that was cut off is read from its spool.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from harness.common.errors import UsageError
from harness.results.arm_files import ArmFiles, ArmObservations
from harness.results.files import explain_write_errors, read_json, require_plain_tree, write_text
from harness.results.plan import RunPlan
from harness.results.summary import SCHEMA, Summary
from harness.results.verdicts import Verdict

_MAX_FIGURE = 1e18
_NAME_A_RUN = "name a directory under results/<scenario>/, such as results/node_kill/latest"


@dataclass(frozen=True)
class SchemaVersion:
    """The part of a file that says which version of the harness reads the rest."""

    schema: int


@dataclass(frozen=True)
class ControlRecords:
    """What controls.json holds: the bug of each owner's session in the calibration, as its service reported it."""

    calibration: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Run:
    """A run directory, made or opened."""

    path: Path
    plan: RunPlan

    @classmethod
    def create(cls, results: Path, plan: RunPlan) -> Self:
        """Make ``results/<scenario>/<run>/`` with its run.json, for its owner alone: it shows how a service runs.

        Raises:
            UsageError: the directory cannot be written.
        """
        path = results / plan.scenario / plan.run
        with explain_write_errors(path):
            path.mkdir(parents=True, mode=0o700)
            write_text(path / "run.json", json.dumps(asdict(plan), indent=1))
        return cls(path, plan)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run directory. What it holds may come from anybody: it is checked, and nothing of it is executed.

        Raises:
            UsageError: it is no run, is cut off before its plan, has another schema, or holds a link.
        """
        file, problem = path / "run.json", f"{path} is not a run: it has no readable run.json"
        _require_schema(file, problem, _NAME_A_RUN)
        plan = read_json(file, RunPlan, f"{file} is cut off or foreign", "run the scenario again")
        require_plain_tree(path.resolve())
        return cls(path.resolve(), plan)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Mark the run as being written for the length of a scope. The mark ends with this process at the latest."""
        with (self.path / "run.json").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    @property
    def is_being_written(self) -> bool:
        """Whether a process holds that mark."""
        with (self.path / "run.json").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def arm(self, design: str, arm: str, repeat: int = 1) -> ArmFiles:
        """Where an arm's observations lie (whether they are there yet or not)."""
        suffix = f".{repeat}" if repeat > 1 else ""
        return ArmFiles(self.path / "observations" / f"{design}-{arm}{suffix}")

    def read_observations(self, design: str | None = None) -> tuple[ArmObservations, ...]:
        """Every arm that left something, or only those of one design, in the order of the plan.

        Raises:
            UsageError: there is none.
        """
        arms = tuple(
            self.arm(name, arm, repeat).read_observations(name, arm, (self.plan.warmup_s, self.plan.duration_s), repeat)
            for name, arm, repeat in self.plan.arms
            if design in (None, name) and self.arm(name, arm, repeat).path.exists()
        )
        if not arms:
            raise UsageError(f"{self.path} holds no observations", "the run was cut off before its first arm began")
        return arms

    def has_requests(self) -> bool:
        """Whether any arm has left requests."""
        files = [self.arm(*arm) for arm in self.plan.arms]
        return any((arm.path / "requests.parquet").exists() or arm.spool.exists() for arm in files)

    def keep_summary(self, summary: Summary, verdicts: Sequence[Verdict]) -> None:
        """Write summary.json and verdicts.json."""
        with explain_write_errors(self.path):
            write_text(self.path / "summary.json", json.dumps(to_json(summary), indent=1))
            write_text(self.path / "verdicts.json", json.dumps([asdict(verdict) for verdict in verdicts], indent=1))

    def point_latest(self) -> None:
        """Point ``latest`` beside this run, which is complete, at it."""
        with explain_write_errors(self.path.parent):
            link = self.path.parent / ".latest.part"
            link.unlink(missing_ok=True)
            link.symlink_to(self.path.name)
            os.replace(link, self.path.parent / "latest")  # noqa: PTH105 - Path.replace follows nothing either, but says less

    def check_summary(self) -> None:
        """Refuse to overwrite a summary that another version wrote.

        Raises:
            UsageError: there is one, of another schema.
        """
        file = self.path / "summary.json"
        try:
            found = read_json(file, SchemaVersion, "", "").schema
        except UsageError:  # missing, or cut off: it is written again
            return
        if found != SCHEMA:
            raise UsageError(
                f"{file} has schema {found}, this harness writes schema {SCHEMA}",
                "read it with the version that wrote it, or remove summary.json and report again",
            )

    def keep_controls(self, controls: ControlRecords) -> None:
        """Write what the controls measured, before any of it is judged."""
        with explain_write_errors(self.path):
            write_text(self._controls, json.dumps(asdict(controls), indent=1))

    def read_controls(self) -> ControlRecords:
        """What the controls measured; empty where they did not run.

        Raises:
            UsageError: the file is cut off, or was changed after the run.
        """
        if not self._controls.exists():
            return ControlRecords()
        problem = f"{self._controls} is cut off or was changed"
        return read_json(self._controls, ControlRecords, problem, "run the scenario again")

    @property
    def _controls(self) -> Path:
        return self.path / "observations" / "controls.json"

    def read_summary(self) -> Summary:
        """summary.json as what it was written from.

        Raises:
            UsageError: it is missing, cut off, of another schema, or not what this harness writes.
        """
        hint = f"harness report {self.path} writes it again"
        file = self.path / "summary.json"
        _require_schema(file, f"{self.path} has no readable summary.json", hint)
        summary = read_json(file, Summary, f"{file} is foreign", hint)
        if strange := next(_find_strange_figures(to_json(summary), "$"), ""):
            raise UsageError(f"{file} is foreign: no figure is {strange}", hint)
        return summary

    def read_verdicts(self) -> tuple[Verdict, ...]:
        """verdicts.json as what it was written from.

        Raises:
            UsageError: it is missing, cut off, or foreign.
        """
        problem, hint = f"{self.path} has no readable verdicts.json", f"harness report {self.path} writes it again"
        return read_json(self.path / "verdicts.json", tuple[Verdict, ...], problem, hint)


def _find_strange_figures(value: object, where: str) -> Iterator[str]:
    """The numbers that no run can have, with their places. Evidence is free: an exit code may be negative."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "evidence":
                yield from _find_strange_figures(inner, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _find_strange_figures(inner, f"{where}[{index}]")
    elif isinstance(value, int | float) and not 0 <= value <= _MAX_FIGURE:
        yield f"{value:g}, at `{where}`"


def _require_schema(file: Path, problem: str, hint: str) -> None:
    found = read_json(file, SchemaVersion, problem, hint).schema
    if found != SCHEMA:
        raise UsageError(
            f"{file} has schema {found}, this harness reads schema {SCHEMA}",
            "run the scenario again, or read it with the version that wrote it",
        )


def to_json(summary: Summary) -> dict[str, Any]:
    """The summary in the contract's order of keys."""
    return {"schema": summary.schema, **{k: v for k, v in asdict(summary).items() if k != "schema"}}


def new_run_id(now: datetime | None = None) -> str:
    """``<UTC time>-<id>``, in the order of time."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
