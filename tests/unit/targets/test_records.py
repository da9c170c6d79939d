import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from targets.common.settings import SettingsError
from targets.http.errors import UnavailableError
from targets.storage.records import FSYNC, Log, frame, read_intact, write_file


async def append(path: Path, *texts: str, fsync: str = "always") -> list[str]:
    """What was in the log, to which the texts are appended."""
    log = Log(path, fsync)
    before = list(log.replay())
    for text in texts:
        await log.append(text)
    await log.close()
    return before


@pytest.mark.parametrize("fsync", FSYNC)
async def test_appended_records_are_replayed_in_order(tmp_path: Path, fsync: str) -> None:
    assert await append(tmp_path / "log", "one", "zwölf", fsync=fsync) == []
    assert await append(tmp_path / "log", "three", fsync=fsync) == ["one", "zwölf"]
    assert await append(tmp_path / "log") == ["one", "zwölf", "three"]


@pytest.mark.parametrize("cut", range(1, len(frame("two")) + 1))
async def test_a_torn_tail_is_cut_off_and_logged_and_later_records_are_intact(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    await append(path, "one", "two")
    os.truncate(path, path.stat().st_size - cut)
    with caplog.at_level(logging.WARNING):
        assert await append(path, "three") == ["one"]
    assert ("torn tail" in caplog.text) is (cut < len(frame("two")))
    assert await append(path) == ["one", "three"]


async def test_nothing_after_a_corrupt_record_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    await append(path, "one", "two", "three")
    path.write_bytes(path.read_bytes().replace(b"two", b"tow"))
    assert await append(path) == ["one"]


async def test_concurrent_appends_share_an_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, synced, fsync = Log(tmp_path / "log"), list[int](), os.fsync
    list(log.replay())

    def count_fsync(descriptor: int) -> None:
        synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", count_fsync)
    await asyncio.gather(*(log.append(str(n)) for n in range(50)))
    assert 1 <= len(synced) <= 3
    monkeypatch.undo()
    await log.close()
    assert len(await append(tmp_path / "log")) == 50


async def test_an_append_returns_only_when_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, asked, let_go = Log(tmp_path / "log"), asyncio.Event(), asyncio.Event()
    list(log.replay())
    loop, fsync = asyncio.get_running_loop(), os.fsync

    def slow(descriptor: int) -> None:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(let_go.wait(), loop).result(10)

    monkeypatch.setattr(os, "fsync", slow)
    appending = asyncio.create_task(log.append("one"))
    await asyncio.wait_for(asked.wait(), 10)
    assert not appending.done()
    let_go.set()
    await asyncio.wait_for(appending, 10)
    monkeypatch.setattr(os, "fsync", fsync)
    await log.close()


async def test_a_full_disk_is_unavailable_and_leaves_no_partial_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = Log(tmp_path / "log"), os.write
    list(log.replay())
    await log.append("one")
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:4]))
    with pytest.raises(UnavailableError, match="full"):
        await log.append("two")
    monkeypatch.undo()
    await log.append("three")
    await log.close()
    assert await append(tmp_path / "log") == ["one", "three"]


async def test_a_disk_that_fails_its_fsync_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "log")
    list(log.replay())

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(UnavailableError, match="Input/output error"):
        await log.append("one")
    monkeypatch.undo()
    await log.close()


async def test_a_log_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot keep the log"):
        await append(tmp_path / "gone" / "log")


def test_a_file_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, ["one", "two"])
    assert [text for text, _ in read_intact(path)] == ["one", "two"]

    def breaking() -> Iterator[str]:
        yield "three"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_file(path, breaking())
    assert [text for text, _ in read_intact(path)] == ["one", "two"]
