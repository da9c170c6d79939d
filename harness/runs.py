"""A Run: a directory that holds all of it, written in stages, each atomically."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.observations import Event, Sample
from harness.oracle.judge import Judgement


@dataclass(frozen=True)
class ArmObservations:
    """Everything observed of one arm.

    ``requests`` has the columns of requests.parquet (docs/results.md): ``session, writer, op, name, method, status,
    outcome, anomaly, replica, boot, phase, t_intended, t_sent, t_first, t_end, bytes_sent, bytes_received, reconnected,
    attempts``; name, method, outcome, anomaly, replica and boot are categories, times are ns from T0 (-1: never).
    ``phase`` is 1 for the final sweep.
    """

    design: str
    arm: str  # fault | control
    requests: pd.DataFrame
    events: tuple[Event, ...]
    samples: tuple[Sample, ...]
    judgements: tuple[Judgement, ...]
    warmup: float  # seconds
    duration: float  # seconds


@dataclass(frozen=True)
class Run:
    """An opened run directory."""

    path: Path
