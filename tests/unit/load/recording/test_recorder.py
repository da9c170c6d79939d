import json
from pathlib import Path

import numpy as np
import pytest

from harness.common.errors import EnvironmentLacksError
from harness.load.recording.recorder import CHUNK_RECORDS, MAX_ID, Chunk, Recorder, SpoolWriter, StringTable
from harness.observations.requests import NO_TIME, RECORD, SWEEP
from harness.results.spool import read_requests

FIELDS = (7, 7, 99, 1, 0, 0, 0, 1, 0, 0, 200, 1, 2)


def record(recorder: Recorder, *times: int, phase: int = 0) -> None:
    recorder.add(*FIELDS[:9], phase, *FIELDS[10:], *times, 120, 330)


def test_a_record_is_passed_on_unchanged_except_that_times_count_from_t0() -> None:
    chunks: list[Chunk] = []
    recorder = Recorder(chunks.append)
    recorder.t0 = 1000
    record(recorder, 1001, 1002, NO_TIME, 1004)
    record(recorder, 1001, 1002, 1003, 1004)
    recorder.flush()
    assert [tuple(row) for row in chunks[0].tolist()] == [
        (*FIELDS, 1, 2, NO_TIME, 4, 120, 330),
        (*FIELDS, 1, 2, 3, 4, 120, 330),
    ]


def test_every_sink_gets_every_record_once_whatever_the_number() -> None:
    first: list[Chunk] = []
    second: list[Chunk] = []
    recorder = Recorder(first.append, second.append)
    for number in range(2 * CHUNK_RECORDS + 3):
        record(recorder, number, number, number, number)
    recorder.flush()
    recorder.flush()
    for chunks in (first, second):
        assert np.concatenate(chunks)["t_end"].tolist() == list(range(2 * CHUNK_RECORDS + 3))


def test_a_chunk_that_a_sink_keeps_is_not_overwritten() -> None:
    chunks: list[Chunk] = []
    recorder = Recorder(chunks.append)
    for _ in range(2):
        record(recorder, 1, 2, 3, 4 + len(chunks))
        recorder.flush()
    assert [int(chunk["t_end"][0]) for chunk in chunks] == [4, 5]


def test_the_spool_is_read_as_it_was_written(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    names = StringTable(spool.write_name)
    assert [names.intern("name", "GET /cart"), names.intern("replica", "r0")] == [1, 1]
    assert [names.intern("boot", "b0"), names.intern("boot", "b1")] == [1, 2]
    recorder = Recorder(spool.write)
    record(recorder, 1, 2, 3, 4)
    record(recorder, 5, 6, 7, 8, phase=SWEEP)
    recorder.flush()
    spool.close()
    frame = read_requests(tmp_path)
    assert frame[["name", "replica", "boot"]].iloc[0].tolist() == ["GET /cart", "r0", "b1"]
    assert frame["phase"].tolist() == [0, SWEEP]


def test_a_name_is_written_once_and_before_any_record_with_it(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    names = StringTable(spool.write_name)
    for _ in range(3):
        names.intern("name", "GET /")
    lines = [json.loads(line) for line in (tmp_path / "names.jsonl").read_text().splitlines()]
    assert lines == [{"kind": "name", "id": 1, "value": "GET /"}]


def test_names_beyond_the_limit_share_one_id() -> None:
    names = StringTable()
    numbers = {names.intern("name", str(number)) for number in range(MAX_ID + 100)}
    assert max(numbers) <= MAX_ID
    assert names.lookup("name", names.intern("name", "one more")) == "(other)"


def test_a_full_disk_raises_a_readable_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full: use Linux")
    spool = SpoolWriter.__new__(SpoolWriter)
    with full.open("wb", buffering=0) as file:
        spool._requests = file.fileno()
        with pytest.raises(EnvironmentLacksError, match="disk is full"):
            spool.write(np.zeros(1, RECORD))
