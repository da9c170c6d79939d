"""A run: a directory with all that was measured, written in stages (plan, observations, the rest), each atomically.

A crash costs the later stages only: an arm that was cut off is read from its spool.
"""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from harness.common.errors import UsageError
from harness.results.arm_files import ArmFiles, ArmObservations
from harness.results.files import explain_write_errors, read_json_object, write_text
from harness.results.plan import RunPlan
from harness.results.summary import SCHEMA, Summary
from harness.results.verdicts import Verdict


@dataclass(frozen=True)
class Run:
    """A run directory, made or opened."""

    path: Path
    plan: RunPlan

    @classmethod
    def create(cls, results: Path, plan: RunPlan) -> Self:
        """Make ``results/<scenario>/<run>/`` with its run.json, and point ``latest`` at it.

        Raises:
            UsageError: the directory cannot be written.
        """
        path = results / plan.scenario / plan.run
        with explain_write_errors(path):
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
        plan = read_json_object(path / "run.json", f"{path} is not a run: it has no readable run.json")
        if plan.get("schema") != SCHEMA:
            raise UsageError(
                f"{path} has schema {plan.get('schema')}, this harness reads schema {SCHEMA}",
                "run the scenario again, or read it with the version that wrote it",
            )
        try:
            return cls(path.resolve(), RunPlan(**plan))
        except TypeError as problem:
            raise UsageError(f"{path}/run.json is cut off or foreign: {problem}", "run the scenario again") from problem

    def arm(self, design: str, arm: str, repeat: int = 1) -> ArmFiles:
        """Where an arm's observations lie (whether they are there yet or not)."""
        suffix = f".{repeat}" if repeat > 1 else ""
        return ArmFiles(self.path / "observations" / f"{design}-{arm}{suffix}")

    def read_observations(self) -> tuple[ArmObservations, ...]:
        """Every arm that left something, in the order of the plan.

        Raises:
            UsageError: there is none.
        """
        arms = tuple(
            self.arm(design, arm, repeat).read_observations(design, arm, self.plan.load, repeat)
            for design, arm, repeat in self.plan.arms
            if self.arm(design, arm, repeat).path.exists()
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
        with explain_write_errors(self.path):
            write_text(self.path / "observations" / "controls.json", json.dumps(controls, indent=1))

    def read_controls(self) -> dict[str, Any]:
        """What the controls measured; empty where they did not run."""
        path = self.path / "observations" / "controls.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def read_summary_json(self) -> dict[str, Any]:
        """summary.json as it stands.

        Raises:
            UsageError: it is missing, cut off, or of another schema.
        """
        summary = read_json_object(self.path / "summary.json", f"{self.path} has no readable summary.json")
        if summary.get("schema") != SCHEMA:
            raise UsageError(f"{self.path}/summary.json has schema {summary.get('schema')}, not {SCHEMA}")
        return summary

    def read_summary(self) -> Summary:
        """summary.json as what it was written from.

        Raises:
            UsageError: it is missing, cut off, of another schema, or not what this harness writes.
        """
        try:
            return msgspec.convert(self.read_summary_json(), Summary)
        except msgspec.ValidationError as problem:
            what = f"{self.path}/summary.json is foreign: {problem}"
            raise UsageError(what, f"harness report {self.path} writes it again") from problem

    def read_verdicts(self) -> tuple[Verdict, ...]:
        """verdicts.json as what it was written from.

        Raises:
            UsageError: it is missing, cut off, or foreign.
        """
        try:
            return msgspec.json.decode((self.path / "verdicts.json").read_bytes(), type=tuple[Verdict, ...])
        except (OSError, msgspec.MsgspecError) as problem:
            what = f"{self.path} has no readable verdicts.json"
            raise UsageError(what, f"harness report {self.path} writes it again") from problem


def to_json(summary: Summary) -> dict[str, Any]:
    """The summary in the contract's order of keys."""
    return {"schema": summary.schema, **{k: v for k, v in asdict(summary).items() if k != "schema"}}


def new_run_id(now: datetime | None = None) -> str:
    """``<UTC time>-<id>``, in the order of time."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _point_latest(path: Path) -> None:
    link = path.parent / ".latest.part"
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    os.replace(link, path.parent / "latest")  # noqa: PTH105 - Path.replace would follow nothing either, but says less
