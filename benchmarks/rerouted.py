"""Prints the table of docs/balancers.md: what each balancer did when a replica was killed under cookie affinity.

harness run scenarios/balancers.py
python -m benchmarks.rerouted results/balancers/latest
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from harness.results.run import Run
from harness.results.summary import ArmFigures, Summary

HEAD = (
    "| | requests that failed or were in doubt | last of them after the kill, s | sessions lost | of them at risk "
    "| acknowledged writes lost | sessions lost again to the empty replica that returned |"
)


def table(summary: Summary) -> Iterator[str]:
    """The lines of the table, one row per balancer."""
    yield HEAD
    yield "| --- " * (HEAD.count(" | ") + 1) + "|"
    for name, design in summary.designs.items():
        yield row(name, design.arms["fault"])


def row(name: str, arm: ArmFigures) -> str:
    """The row of one balancer."""
    sessions, kill = arm.sessions, arm.faults[0]
    errors = arm.requests.failed + arm.requests.in_doubt
    cells = (
        name,
        f"{errors} of {arm.requests.attempted:,}",
        "unknown" if kill.detect_s is None else f"{kill.detect_s:.2f}",
        f"{sessions.lost} of {sessions.judged}",
        "unknown" if sessions.at_risk is None else str(sessions.at_risk),
        f"{arm.writes.lost:,} of {arm.writes.acknowledged:,}",
        str(sessions.lost_by_cause.get("returned_empty", 0)),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    run = Run.open(Path(sys.argv[1] if len(sys.argv) > 1 else "results/balancers/latest"))
    print(f"From run {run.path.name}.\n")
    print("\n".join(table(run.read_summary())))
