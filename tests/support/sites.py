"""Runs for the site: with figures, and in progress."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.results.live import ArmStart, LiveLine, append_line
from harness.results.run import Run
from tests.support import charts
from tests.support.recorded_run import plan

BEGUN = ArmStart("sticky", "fault", 1, 2, 20.0, 2.0)
KILLED = Event(8.0, "fault_effective", "r1", {"kind": "kill", "fault": 1})


def add_run(
    results: Path, run: str, *, fakes: Sequence[charts.Fake] = charts.TRIO, verdict: str = "pass", **more: Any
) -> Run:
    """A finished run with the figures of ``fakes`` and a small report."""
    designs: dict[str, Any] = {fake.name: {"at_risk": "none"} for fake in fakes}
    arms = [(fake.name, arm, 1) for fake in fakes for arm in ("fault", "control")]
    made = Run.create(results, plan(**{"run": run, "scenario": "node_kill", "designs": designs, "arms": arms, **more}))
    summary = replace(charts.summary(fakes), run=run, scenario=made.plan.scenario, verdict=verdict)
    made.keep_summary(summary, [])
    (made.path / "report.html").write_text(f"<title>report of {run}</title>")
    return made


def add_running(results: Path, run: str = "20260103T000000Z-cccccc") -> Run:
    """A run that has only begun. It is in progress as long as ``run.writing()`` is open."""
    return Run.create(results, plan(run=run, scenario="node_kill"))


def write_kill(run: Run) -> None:
    """What such a run writes until a second after a kill."""
    lines = [
        LiveLine(started=BEGUN),
        *(LiveLine(event=Event(0.0, "replica_ready", f"r{n}")) for n in range(3)),
        LiveLine(snapshot=Snapshot(1, 7.0, sent=700, sessions=200, p99_ms=8.0)),
        LiveLine(snapshot=Snapshot(2, 8.0, sent=800, sessions=200, p99_ms=9.0)),
        LiveLine(event=Event(8.0, "fault_commanded", "r1", {"kind": "kill", "fault": 1})),
        LiveLine(event=KILLED),
        LiveLine(snapshot=Snapshot(3, 9.0, sent=850, sessions=200, sessions_lost=67, p99_ms=400.0)),
    ]
    for line in lines:
        append_line(run.path, line)
