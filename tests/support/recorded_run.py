"""A handmade run directory: a plan, and one arm with a few records."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from harness.observations.events import Event
from harness.observations.requests import RECORD
from harness.observations.samples import Sample
from harness.oracle.ledger import Ledger
from harness.results.plan import LoadValue, RunPlan
from harness.results.run import Run, new_run_id

LOAD: dict[str, LoadValue] = {"kind": "closed", "warmup_s": 0.0, "duration_s": 5.0}


def plan(**more: Any) -> RunPlan:
    """The plan of a run with one design, ``one``, in its control arm."""
    made = RunPlan(
        run=new_run_id(),
        scenario="mine",
        path="mine.py",
        sha256="0",
        seed=1,
        flags={},
        load=LOAD,
        arms=[("one", "control", 1)],
        designs={"one": {"at_risk": "none"}},
        environment={},
        versions={},
        started="now",
    )
    return replace(made, **more)


def spool(run: Run, *, records: int = 3, torn: bytes = b"") -> None:
    """The files that the load process leaves while the arm runs; ``torn`` is the start of an incomplete record."""
    files = run.arm("one", "control")
    files.create()
    requests = np.zeros(records, RECORD)
    requests["name"] = requests["replica"] = requests["boot"] = 1
    requests["session"] = 7
    requests["t_end"] = [10**9 * (n + 1) for n in range(records)]
    (files.spool / "requests.bin").write_bytes(requests.tobytes() + torn)
    names = [("name", "GET /cart"), ("replica", "r0"), ("boot", "b0")]
    lines = [json.dumps({"kind": kind, "id": 1, "value": value}) + "\n" for kind, value in names]
    (files.spool / "names.jsonl").write_text("".join(lines))
    ledger = Ledger(1, 7, 7, "u7")
    (files.spool / "ledgers.jsonl").write_text(json.dumps(ledger.history().to_json()) + "\n")


def keep(run: Run) -> None:
    """The files of an arm that ran to its end."""
    spool(run)
    facts = {"warmup": 0.0, "duration": 5.0, "complete": True, "driver": {"lag_p99_ms": 1.0}}
    run.arm("one", "control").keep(
        [Event(1.0, "replica_ready", "r0")], [Sample(0.5, "driver", "load", 0.25, 40.0)], {9}, facts
    )
