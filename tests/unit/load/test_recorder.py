import json
from pathlib import Path

import numpy as np
import pytest

from harness import spool
from harness.errors import EnvironmentLacksError
from harness.load.recorder import CAPACITY, LAST_ID, Chunk, Names, Recorder, SpoolWriter
from harness.observations import RECORD, Anomaly, Method, Outcome
from harness.oracle.ledger import Ledger

NAMES = ("session", "writer", "op", "name", "method", "outcome", "anomaly", "attempts", "reconnected", "phase")
BIG_OP = 2**64 - 1


def add(
    recorder: Recorder, session: int = 1, *, op: int = 0, name: int = 0, replica: int = 0, boot: int = 0, t: int = 0
) -> None:
    method, outcome, anomaly = Method.POST, Outcome.IN_DOUBT, Anomaly.LOST
    recorder.add(
        session, 2, op, name, method, outcome, anomaly, 2, 1, 0, 503, replica, boot, t, t + 1, -1, t + 3, 100, 200
    )


def test_a_record_goes_into_the_spool_and_comes_back(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    names, recorder = Names(writer.tell), Recorder(writer.write)
    name, replica, boot = names.number("name", "POST /cart"), names.number("replica", "r1"), names.number("boot", "b7")
    add(recorder, 7, op=BIG_OP, name=name, replica=replica, boot=boot, t=-5)
    add(recorder, 8)
    recorder.flush()
    table = spool.read(tmp_path)
    assert list(table.columns) == list(spool.COLUMNS)
    first = table.iloc[0].to_dict()
    assert first == {
        "session": 7, "writer": 2, "op": BIG_OP, "name": "POST /cart", "method": "POST", "status": 503,
        "outcome": "in_doubt", "anomaly": "lost", "replica": "r1", "boot": "b7", "phase": 0,
        "t_intended": -5, "t_sent": -4, "t_first": -1, "t_end": -2,
        "bytes_sent": 100, "bytes_received": 200, "reconnected": 1, "attempts": 2,
    }  # fmt: skip
    assert table.loc[1, ["name", "replica", "boot"]].isna().all()
    assert {table[column].dtype.name for column in ("name", "method", "outcome", "anomaly", "replica", "boot")} == {
        "category"
    }


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    names, recorder = Names(writer.tell), Recorder(writer.write)
    add(recorder, 1, name=names.number("name", "GET /"))
    add(recorder, 2)
    recorder.flush()
    for file, torn in (("requests.bin", b"\x01" * (RECORD.itemsize - 1)), ("names.jsonl", b'{"kind": "na')):
        with (tmp_path / file).open("ab") as end:
            end.write(torn)
    table = spool.read(tmp_path)
    assert list(table.session) == [1, 2] and table.name[0] == "GET /"


def test_an_empty_spool_is_an_empty_table(tmp_path: Path) -> None:
    SpoolWriter(tmp_path)
    table = spool.read(tmp_path)
    assert len(table) == 0 and list(table.columns) == list(spool.COLUMNS)


def test_where_the_load_never_began_there_are_no_rows(tmp_path: Path) -> None:
    table = spool.read(tmp_path / "never")
    assert len(table) == 0 and list(table.columns) == list(spool.COLUMNS)


def test_every_record_reaches_every_sink_once() -> None:
    chunks: list[Chunk] = []
    again: list[Chunk] = []
    recorder = Recorder(chunks.append, again.append)
    for session in range(CAPACITY + 10):
        add(recorder, session)
    assert [len(chunk) for chunk in chunks] == [CAPACITY]
    recorder.flush()
    recorder.flush()
    assert list(np.concatenate(chunks)["session"]) == list(range(CAPACITY + 10))
    assert [chunk.tobytes() for chunk in again] == [chunk.tobytes() for chunk in chunks]


def test_a_chunk_is_not_changed_by_what_is_recorded_later() -> None:
    chunks: list[Chunk] = []
    recorder = Recorder(chunks.append)
    add(recorder, 1)
    recorder.flush()
    add(recorder, 2)
    recorder.flush()
    assert [int(chunk["session"][0]) for chunk in chunks] == [1, 2]


def test_names_beyond_the_last_number_are_other() -> None:
    told: list[tuple[str, int, str]] = []
    names = Names(lambda *what: told.append(what))
    numbers = [names.number("name", f"GET /{n}") for n in range(LAST_ID + 50)]
    assert max(numbers) <= LAST_ID
    assert names.value("name", numbers[-1]) == "(other)" == names.value("name", names.number("name", "once more"))
    assert names.number("name", "GET /3") == numbers[3]
    assert len(told) == len({number for _, number, _ in told})


def test_ledgers_are_one_line_a_session(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.write_ledgers([Ledger(1, n, n, f"u{n}").testimony() for n in (1, 2)])
    lines = (tmp_path / "ledgers.jsonl").read_text().splitlines()
    assert [json.loads(line)["session"] for line in lines] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledgers.jsonl", "names.jsonl", "requests.bin"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "requests.bin").symlink_to("/dev/full")
    recorder = Recorder(SpoolWriter(tmp_path).write)
    add(recorder)
    with pytest.raises(EnvironmentLacksError, match="disk is full"):
        recorder.flush()
