"""The file that a run in progress grows, and how it is read beside it."""

from pathlib import Path

import pytest

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.results.live import LIVE_FILE, ArmStart, LiveLine, LiveTail, append_line

STARTED = LiveLine(started=ArmStart("sticky", "fault", 0, 2, 20.0, 2.0))


def test_each_line_is_read_once(tmp_path: Path) -> None:
    tail = LiveTail(tmp_path)
    lines = [
        STARTED,
        LiveLine(snapshot=Snapshot(1, 0.2, sent=7)),
        LiveLine(event=Event(1.0, "fault_effective", "r1", {"pid": 7})),
        LiveLine(ended="sticky, fault arm: over"),
    ]
    for line in lines[:2]:
        append_line(tmp_path, line)
    assert tail.read() == lines[:2]
    for line in lines[2:]:
        append_line(tmp_path, line)
    assert tail.read() == lines[2:]
    assert tail.read() == []


def test_a_line_is_read_when_it_is_complete(tmp_path: Path) -> None:
    append_line(tmp_path, STARTED)
    whole = (tmp_path / LIVE_FILE).read_bytes()
    (tmp_path / LIVE_FILE).write_bytes(whole[:-10])
    tail = LiveTail(tmp_path)
    assert tail.read() == []
    (tmp_path / LIVE_FILE).write_bytes(whole)
    assert tail.read() == [STARTED]


def test_without_a_file_there_are_no_lines(tmp_path: Path) -> None:
    assert LiveTail(tmp_path).read() == []


@pytest.mark.parametrize("line", [b"{\n", b'{"snapshot": 7}\n', b'{"event": {"t": "x"}}\n', b"\xff\n"])
def test_a_line_that_holds_something_else_is_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / LIVE_FILE).write_bytes(line)
    with pytest.raises(ValueError):
        LiveTail(tmp_path).read()
