"""The plan of a run: the content of run.json, written before anything is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.results.summary import SCHEMA


@dataclass(frozen=True)
class RunPlan:
    """What is going to be run, and where it is measured."""

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
