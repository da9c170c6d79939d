"""The cost of ten million records in one run: the memory of the recorder, and the cost of the report.

The recorder of the driver packs, counts and spools the records with an artificial clock; then ``harness report`` reads
them. Each part runs in a separate process so that its memory can be measured.

    python -m benchmarks.records [--records 10000000] [--out DIR]

Prints one JSON object as its last line; exit code 1 if a bound does not hold.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.load.recording.live_stats import LiveStats
from harness.load.recording.recorder import Recorder, SpoolWriter, StringTable
from harness.observations.events import Event
from harness.observations.requests import NO_TIME, Method, Outcome
from harness.oracle.ledger import Ledger
from harness.oracle.observed import Tally
from harness.results.arm_files import ArmFiles
from harness.results.run import Run
from harness.runner.pipeline import plan_run
from harness.scenario.loading import load

SCENARIO = Path(__file__).with_name("users") / "records.py"
SESSIONS = 2000
DURATION_S = 500
KILL_S, RESTART_S = 200.0, 300.0
MAX_RECORDER_BYTES, MAX_REPORT_BYTES, MAX_REPORT_S = 1e9, 3e9, 60.0
MAX_PAGE_BYTES = 5e6
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Cost:
    """The cost of a process."""

    seconds: float
    memory_bytes: int
    code: int


def measure_process(argv: list[str], log: Path) -> Cost:
    """Run a program to its end, and measure its cost."""
    begin = time.monotonic()
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(time.monotonic() - begin, usage.ru_maxrss * 1024, process.returncode)


def keep(files: ArmFiles) -> None:
    """Write the files that the harness writes at the end of an arm."""
    facts = {"warmup": 2.0, "duration": float(DURATION_S), "complete": True, "driver": {}}
    files.keep(_events(), (), (), facts)


def record(files: ArmFiles, records: int) -> None:
    """Record ``records`` requests and write the ledgers, as the driver does."""
    from locust.stats import RequestStats  # noqa: PLC0415 - Locust patches modules: only in this process

    from harness.load.recording.locust_stats import LocustStats  # noqa: PLC0415 - same reason

    files.create()
    spool, stats = SpoolWriter(files.spool), LiveStats()
    names = StringTable(spool.write_name)
    recorder = Recorder(spool.write, stats.add, LocustStats(RequestStats(), names).add)
    requests = [(names.intern("name", "POST /cart/add"), Method.POST), (names.intern("name", "GET /cart"), Method.GET)]
    replicas = [(names.intern("replica", f"r{n}"), names.intern("boot", f"r{n}-1")) for n in range(3)]
    step, snapshot_every = DURATION_S * _SECOND_NS // records, records // (5 * DURATION_S)
    for i in range(records):
        turn, session = divmod(i, SESSIONS)
        begin = i * step
        replica, boot = replicas[_replica_of(session, begin)]
        name, method = requests[turn & 1]
        op = 0 if turn & 1 else (i * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) | 1
        took = 300_000 + (i * 7919) % 2_000_000
        times = (begin, begin + 40_000, begin + took, begin + took)
        fixed = (Outcome.OK, 0, 1, 0, 0, 200, replica, boot)
        recorder.add(session + 1, session + 1, op, name, method, *fixed, *times, 210, 380)
        if i % snapshot_every == 0:
            stats.snapshot(begin / _SECOND_NS, i, SESSIONS, 0, 0)
    recorder.flush()
    spool.write_ledgers([_ledger(session + 1).history() for session in range(SESSIONS)])
    spool.close()


def _replica_of(session: int, t: int) -> int:
    """The replica that answers: the session's own, or another one after the kill."""
    own = session % 3
    return (2 * (session % 2)) if own == 1 and t >= KILL_S * _SECOND_NS else own


def _ledger(number: int) -> Ledger:
    ledger = Ledger(1, number, number, f"u{number}")
    ledger.record_final_read(Outcome.OK, Tally("b", f"u{number}", 0, 0, 0), "r0-1", NO_TIME)
    return ledger


def _events() -> list[Event]:
    details = {"kind": "kill"}
    return [
        Event(KILL_S, "fault_commanded", "r1", details),
        Event(KILL_S + 0.01, "fault_effective", "r1", {**details, "boot": "r1-1"}),
        Event(RESTART_S, "fault_healed", "r1", {**details, "boot": "r1-2"}),
    ]


def main() -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="bench-records", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, help="directory in which to keep the run")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)  # the measured subprocess
    arguments = parser.parse_args()
    if arguments.part:
        part, path = arguments.part
        files = Run.open(Path(path)).arm("sticky", "fault")
        record(files, arguments.records) if part == "record" else keep(files)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        return _measure(arguments.out or Path(scratch), arguments.records)


def _measure(out: Path, records: int) -> int:
    loaded = load(SCENARIO)
    run = Run.create(out, plan_run(loaded, loaded.scenario, 1, {}))
    log = run.path / "bench.log"
    command = [sys.executable, "-m", "benchmarks.records", "--records", str(records), "--part"]
    costs = {
        "record": measure_process([*command, "record", str(run.path)], log),
        "keep": measure_process([*command, "keep", str(run.path)], log),
        "report": measure_process([sys.executable, "-m", "harness.cli", "report", str(run.path)], log),
    }
    page = run.path / "report.html"
    succeeded = all(cost.code in (0, 1, 3) for cost in costs.values()) and page.exists()
    if not succeeded:
        print(log.read_text(), file=sys.stderr)
    figures: dict[str, float] = {"records": records}
    for name, cost in costs.items():
        figures |= {f"{name}_s": round(cost.seconds, 1), f"{name}_mb": round(cost.memory_bytes / 1e6)}
    size = page.stat().st_size if succeeded else 0
    print(json.dumps(figures | {"page_mb": round(size / 1e6, 2)}))
    return 0 if succeeded and size < MAX_PAGE_BYTES and _is_within_bounds(costs) else 1


def _is_within_bounds(costs: dict[str, Cost]) -> bool:
    report = costs["report"]
    return (
        costs["record"].memory_bytes < MAX_RECORDER_BYTES
        and report.memory_bytes < MAX_REPORT_BYTES
        and report.seconds < MAX_REPORT_S
    )


if __name__ == "__main__":
    sys.exit(main())
