"""Honest sessions beside one session per attack: ``python -m tests.support.hostile_load PORT SECONDS``.

Prints one JSON object: the outcomes of the honest sessions and how much they wrote, how often each attack was answered,
the peak of the memory, and the CPU time of the longest turn of the event loop, which other programs do not lengthen.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

from harness.load import _locust_import  # noqa: F401 - before what imports gevent

# isort: split

from harness.load.arrivals.workload import ClosedWorkload
from harness.load.http.client import Client
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.sweep import FinalSweep
from harness.oracle.judge import judge
from tests.support.hostile_server import ACTS
from tests.support.load import Rig, Visitor

HONEST = 10
LARGE, MANY_LARGE = "body-of-15-mb", 20


def honest(client: Client) -> SessionSteps:
    """Writes and reads."""
    while True:
        yield client.post("/cart", writes=True)
        yield client.get("/cart")


class Attacked(Visitor):
    """A user who asks for one hostile reply again and again."""

    def __init__(self, name: str) -> None:
        super().__init__(self._ask, timeout=1.0, wait=0.05)
        self._path = f"/{name}"

    def _ask(self, client: Client) -> SessionSteps:
        while True:
            yield client.get(self._path, follow=3, name=self._path)


def main() -> None:
    """Drive the load, then judge the honest sessions."""
    rig = Rig(f"http://127.0.0.1:{sys.argv[1]}")
    names = [*ACTS, *[LARGE] * MANY_LARGE]
    users = [*(Visitor(honest, wait=0.02) for _ in range(HONEST)), *map(Attacked, names)]
    workload = ClosedWorkload(rig.registry)
    for user in users:
        workload.join(user, 0)
    workload.start(time.monotonic_ns())
    longest, ends = 0.0, time.monotonic() + float(sys.argv[2])
    while time.monotonic() < ends:
        before = time.thread_time()
        rig.event_loop.run_once()
        longest = max(longest, time.thread_time() - before)
    rig.context.stopping = True
    rig.until(lambda: rig.event_loop.in_flight == 0, within=60)
    rig.registry.sessions[HONEST:] = []
    swept: list[bool] = []
    FinalSweep(rig.registry, 1000.0, lambda: swept.append(True)).start(time.monotonic_ns())
    rig.until(lambda: bool(swept), within=60)
    verdicts = [judge(history) for history in rig.registry.histories()]
    rows = rig.rows()
    print(
        json.dumps(
            {
                "outcomes": Counter(verdict.outcome for verdict in verdicts),
                "acknowledged": sum(verdict.acknowledged for verdict in verdicts),
                "answered": Counter(rig.names.lookup("name", number) for number in rows["name"].tolist()),
                "open": len(rig.event_loop.connections),
                "peak_mb": read_peak_mb(),
                "longest_turn_ms": longest * 1000,
            }
        )
    )


def read_peak_mb() -> float:
    """The peak of this program's memory; ``ru_maxrss`` would include that of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    main()
