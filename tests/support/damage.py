"""Damaged runs: every file of a run truncated at ten places, and every key replaced by something else."""

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.observations.aggregates import AggregateStats
from harness.observations.events import Event
from harness.observations.requests import RECORD
from harness.observations.samples import Sample
from harness.oracle.history import SessionHistory
from harness.oracle.ledger import Ledger
from harness.results import baselines
from harness.results.arm_files import ArmFiles
from harness.results.run import ControlRecords, Run
from harness.runner.reporting import reanalyse
from tests.support.recorded_run import plan

DEEP = 5000
#: What takes the place of a value. ``Deep`` is written as text: Python's own encoder refuses it.
DEEP_MARK = "@deep@"
OTHERS: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        7,
        2**62,
        2**70,
        -0.5,
        1e308,
        "",
        "text",
        "../../up",
        "[/evil]",
        "\x1b]52;c;x\x07",
        "x" * 5000,
    ),
    *("x" * 5000, [], {}, ["a", 1], {"a": {"b": [1]}}, DEEP_MARK),
)


@dataclass(frozen=True)
class Damage:
    """One way to damage one file of a run."""

    file: str
    what: str
    apply: Callable[[Path], None]

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def whole_run(directory: Path) -> Run:
    """A run with every kind of file: two arms, one that a crash left, one of histograms, the controls, the report."""
    arms = [("one", "control", 1), ("one", "fault", 1), ("two", "control", 1)]
    described = {"replicas": 3, "balancer": "auto", "at_risk": "victim", "service_time_s": 0.0, "slots": 1}
    run = Run.create(directory, plan(arms=arms, designs={"one": described, "two": described}))
    for name in ("control", "fault"):
        _keep_arm(run, "one", name)
    _spool_arm(run, "two", "control")
    for control in ("echo", "calibration"):
        _keep_arm(run, control, "control")
    (run.arm("echo", "control").path / "tallied.json").write_text(json.dumps(AggregateStats.empty().to_json()))
    run.keep_controls(ControlRecords({"u1": "drop", "u2": "none"}))
    reanalyse(run.path, None)
    return run


def _spool_arm(run: Run, design: str, name: str) -> ArmFiles:
    """What the load process leaves while an arm runs: 300 requests of six sessions, some of which wrote."""
    files = run.arm(design, name)
    files.create()
    requests = np.zeros(300, RECORD)
    count = np.arange(len(requests))
    requests["session"] = requests["writer"] = count % 6 + 1
    requests["op"] = np.where(count % 3 == 0, count, 0)
    requests["outcome"] = np.where((count > 100) & (count % 9 == 0), 2, 0)
    requests["status"] = np.where(requests["outcome"] == 0, 200, 0)
    requests["phase"] = np.where(count >= 294, 1, 0)
    requests["name"], requests["replica"], requests["boot"] = count % 2 + 1, count % 3 + 1, count % 3 + 1
    requests["attempts"], requests["bytes_sent"], requests["bytes_received"] = 1, 200, 300
    requests["t_intended"] = requests["t_sent"] = count * 16_000_000
    requests["t_first"] = requests["t_end"] = count * 16_000_000 + 4_000_000
    (files.spool / "requests.bin").write_bytes(requests.tobytes())
    names = [("name", 1, "GET /cart"), ("name", 2, "POST /cart/add")]
    names += [(kind, n, f"{kind[0]}{n}") for kind in ("replica", "boot") for n in (1, 2, 3)]
    lines = [json.dumps({"kind": kind, "id": number, "value": value}) + "\n" for kind, number, value in names]
    (files.spool / "names.jsonl").write_text("".join(lines))
    with (files.spool / "ledgers.jsonl").open("w") as file:
        for history in _histories():
            file.write(json.dumps(history.to_json()) + "\n")
    return files


def _histories() -> Iterator[SessionHistory]:
    """Two sessions that were kept, and one whose state was lost in the middle."""
    for session in range(1, 4):
        ledger = Ledger(1, session, session, f"u{session}")
        yield ledger.history()


def _keep_arm(run: Run, design: str, name: str) -> None:
    files = _spool_arm(run, design, name)
    events = [Event(0.0, "brought_up", design, {"ports": 4, "config_lines": 9}), Event(1.0, "replica_ready", "r1")]
    if name == "fault":
        events += [
            Event(2.0, "fault_commanded", "r1", {"kind": "kill", "fault": 1}),
            Event(2.1, "fault_effective", "r1", {"kind": "kill", "fault": 1, "pid": 77, "pid_gone": True}),
            Event(2.2, "member_state", "r1", {"state": "down"}),
            Event(3.1, "fault_healed", "r1", {"kind": "kill", "fault": 1, "boot": "b4"}),
        ]
    facts = {"warmup": 0.0, "duration": 5.0, "complete": True, "driver": {"lag_p99_ms": 1.0, "cpu_median": 0.2}}
    files.keep(events, [Sample(0.5, "driver", "load", 0.25, 40.0), Sample(0.5, "replica", "r1", 0.2, 9.0)], {9}, facts)
    (files.logs / "journal.jsonl").write_text('{"op": "00000000000000ff", "effect": "checkout", "boot": "b0"}\n')


def scaling_run(directory: Path) -> Run:
    """A run of ``harness scale``."""
    made = plan(arms=[], designs={"one": {"replicas": 1, "service_time_s": 0.0, "slots": 1}})
    run = Run.create(directory, made)
    trial: dict[str, Any] = {"demand": 100.0, "offered": 99.0, "achieved": 99.0, "p99_ms": 5.0, "errors": 0.0}
    trial |= {"driver_saturated": False, "use": {"replica": 0.5}}
    sizes = [{"replicas": n, "held": 100.0 * n, "failed": 120.0 * n, "trials": [trial, trial]} for n in (1, 2, 4)]
    objectives = {"p99_ms": 200.0, "errors": 0.001, "achieved": 0.95}
    (run.path / "scaling.json").write_text(
        json.dumps({"schema": 1, "designs": {"one": sizes}, "objectives": objectives})
    )
    return run


def baseline(run: Run, directory: Path) -> Path:
    """The run as a baseline."""
    return baselines.accept(run, "to be damaged", directory, force=True)


def damages(root: Path) -> Iterator[Damage]:
    """Every damage of every file below a directory, but for charts, whose content nobody reads."""
    for path in sorted(path for path in root.rglob("*") if path.is_file() and "charts" not in path.parts):
        name = str(path.relative_to(root))
        yield from _coarse_damages(name, path)
        if path.suffix == ".json":
            yield from _value_damages(name, [path.read_text()])
        elif path.suffix == ".jsonl":
            yield from _value_damages(name, path.read_text().splitlines()[:3])
        elif path.suffix == ".csv":
            yield from _cell_damages(name, path.read_text().splitlines())
        elif path.suffix == ".parquet":
            yield from _column_damages(name, pd.read_parquet(path))


def _coarse_damages(name: str, path: Path) -> Iterator[Damage]:
    whole = path.read_bytes()
    for tenth in range(10):
        cut = whole[: len(whole) * tenth // 10]
        yield Damage(name, f"cut after {len(cut)} bytes", partial(_write, content=cut))
    noise = random.Random(name).randbytes(300)
    for what, content in (("noise", noise), ("noise after it", whole + noise), ("NUL", bytes(300))):
        yield Damage(name, what, partial(_write, content=content))
    for text in ("[" * 10**5, '{"a":' * 10**5, "null", "[]", "{}", "7", '"text"', "\ufeff{}", "[" * 900 + "]" * 900):
        yield Damage(name, f"the text {text[:10]}", partial(_write, content=text.encode()))
    yield Damage(name, "missing", Path.unlink)
    yield Damage(name, "a directory", _make_directory)
    yield Damage(name, "a link", _make_link)


def _write(target: Path, content: bytes) -> None:
    target.write_bytes(content)


def _write_table(target: Path, table: pd.DataFrame) -> None:
    table.to_parquet(target)


def _make_directory(target: Path) -> None:
    target.unlink()
    target.mkdir()


def _make_link(target: Path) -> None:
    target.unlink()
    target.symlink_to("/etc/hostname")


def _value_damages(name: str, lines: list[str]) -> Iterator[Damage]:
    for number, line in enumerate(lines):
        value = json.loads(line)
        for keys in _places(value):
            where = f"line {number + 1}, {'/'.join(map(str, keys)) or 'all'}"
            for other in OTHERS:
                changed = partial(_replaced, value, keys, other)
                yield Damage(name, f"{where} is {str(other)[:20]!r}", _line_writer(number, changed))
            if keys:
                yield Damage(name, f"{where} is missing", _line_writer(number, partial(_without, value, keys)))


def _line_writer(number: int, change: Callable[[], Any]) -> Callable[[Path], None]:
    """Writes what ``change`` makes of the line; few of all damages are ever done."""

    def apply(target: Path) -> None:
        text = _dump(change())
        if target.suffix == ".json":
            target.write_text(text)
        else:
            lines = target.read_text().splitlines()
            target.write_text("\n".join([*lines[:number], text, *lines[number + 1 :]]) + "\n")

    return apply


def _places(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a value, itself included; of long lists the first two."""
    yield keys
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, below in inner:
        yield from _places(below, (*keys, key))


def _replaced(value: Any, keys: tuple[Any, ...], other: Any) -> Any:
    if not keys:
        return other
    changed = copy.deepcopy(value)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = other
    return changed


def _without(value: Any, keys: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(value)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    del place[keys[-1]]
    return changed


def _dump(value: Any) -> str:
    return json.dumps(value).replace(f'"{DEEP_MARK}"', "[" * DEEP + "]" * DEEP)


def _cell_damages(name: str, lines: list[str]) -> Iterator[Damage]:
    cells = lines[1].split(",")
    for index in range(len(cells)):
        for other in ("", "text", "nan", "inf", "-1e308", '"', "\x00", "9" * 200_000):
            row = ",".join([*cells[:index], other, *cells[index + 1 :]])
            text = "\n".join([lines[0], row, *lines[2:]]) + "\n"
            yield Damage(name, f"cell {index} is {other[:8]!r}", partial(_write, content=text.encode()))


def _column_damages(name: str, frame: pd.DataFrame) -> Iterator[Damage]:
    for column in frame.columns:
        yield Damage(name, f"no {column}", partial(_write_table, table=frame.drop(columns=column)))
        others = ("text", -1, 2**62, 1.5, None, True, b"\xff", [1], "\x1b[31m[/evil]")
        for other in others:
            column_of_it = pd.Series([other] * len(frame))
            as_names = column_of_it.astype("category") if isinstance(other, str | bool | int | float) else column_of_it
            for kind, values in (("values", column_of_it), ("names", as_names)):
                changed = frame.assign(**{column: values})
                what = f"{column} holds the {kind} {other!r}"
                yield Damage(name, what, partial(_write_table, table=changed))


def damaged(run: Path, damage: Damage, into: Path) -> Path:
    """A copy of a run with that damage."""
    with suppress(FileNotFoundError):
        shutil.rmtree(into)
    shutil.copytree(run, into, symlinks=True)
    damage.apply(into / damage.file)
    return into
