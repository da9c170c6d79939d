"""The stores on a volume: what remains after a crash, and after a torn file."""

import asyncio
import contextlib
import logging
import os
import shutil
import time
from pathlib import Path

import pytest

from targets.common.session import SessionState
from targets.common.settings import Options, Settings, SettingsError
from targets.state import checkpoint, eventlog
from targets.state.checkpoint import Checkpoint
from targets.state.eventlog import EventLog, apply_event, make_event

NEVER = 3600.0
OPS = [f"{n:016x}" for n in range(1, 9)]


def crashed(volume: Path) -> Path:
    """The volume as a kill of its service leaves it now."""
    return Path(shutil.copytree(volume, volume.with_name(f"{volume.name}-{time.monotonic_ns()}")))


def files(volume: Path) -> dict[str, str]:
    """What lies there, by name; a checkpoint that is being removed is no longer there."""
    found = {}
    for path in sorted(volume.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = path.read_text()
    return found


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


async def test_a_crash_loses_the_writes_since_the_last_checkpoint(volume: Path) -> None:
    store = Checkpoint(volume, every=NEVER)
    await store.open()
    session = SessionState.new("u1")
    handle = await store.create(session)
    await store.checkpoint()
    await store.write(handle, session.with_write("0", OPS[0], {}))
    unsaved = await store.create(SessionState.new("u2"))
    after = Checkpoint(crashed(volume), every=NEVER)
    await after.open()
    assert await after.read(handle) == session
    assert await after.read(unsaved) is None
    await after.close()
    await store.close()


async def test_checkpoints_are_written_on_their_own_and_only_after_changes(volume: Path) -> None:
    store = Checkpoint(volume, every=0.01)
    await store.open()
    handle = await store.create(SessionState.new("u1"))
    give_up = time.monotonic() + 20
    while not any(handle in text for name, text in files(volume).items() if "unfinished" not in name):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    there = files(volume)
    assert len(there) == 2
    await asyncio.sleep(0.1)
    assert files(volume) == there
    await store.close()
    assert files(volume) == there


async def test_in_place_of_a_torn_checkpoint_the_one_before_is_restored_and_that_is_logged(
    volume: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Checkpoint(volume, every=NEVER)
    await store.open()
    session = SessionState.new("u1")
    handle = await store.create(session)
    await store.checkpoint()
    await store.write(handle, session.with_write("0", OPS[0], {}))
    await store.close()
    newest = max(files(volume))
    os.truncate(volume / newest, len(files(volume)[newest]) - 1)
    after = Checkpoint(volume, every=NEVER)
    with caplog.at_level(logging.WARNING):
        await after.open()
    assert f"{newest} is torn" in caplog.text
    assert await after.read(handle) == session
    await after.write(handle, session.with_write("0", OPS[1], {}))
    await after.close()
    assert max(files(volume)) > newest and len(files(volume)) == 2


async def test_a_restart_does_not_prolong_a_session(volume: Path) -> None:
    for make in (Checkpoint, EventLog):
        own = volume / make.__name__
        own.mkdir()
        store = make(own, 0.2)
        await store.open()
        handle = await store.create(SessionState.new("u1"))
        await store.close()
        await asyncio.sleep(0.25)
        after = make(own, 60)
        await after.open()
        assert await after.read(handle) is None
        await after.close()


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
async def test_a_crash_loses_no_acknowledged_event(volume: Path, fsync: str) -> None:
    store = EventLog(volume, fsync=fsync)
    await store.open()
    session = SessionState.new("u1")
    handle = await store.create(session)
    for op in OPS:
        session = session.with_write("0", op, {"tea": session.version})
        await store.write(handle, session)
    after = EventLog(crashed(volume), fsync=fsync)
    await after.open()
    assert await after.read(handle) == session
    await after.close()
    await store.close()


async def test_a_torn_tail_loses_only_the_last_event(volume: Path) -> None:
    store = EventLog(volume)
    await store.open()
    session = SessionState.new("u1").with_write("0", OPS[0], {"tea": 1})
    handle = await store.create(session)
    await store.write(handle, session.with_write("0", OPS[1], {"tea": 2}))
    await store.close()
    log = volume / eventlog.FILE
    os.truncate(log, log.stat().st_size - 1)
    after = EventLog(volume)
    await after.open()
    assert await after.read(handle) == session
    await after.write(handle, session.with_write("0", OPS[2], {}))
    await after.close()


def test_an_event_has_the_changes_between_two_states() -> None:
    before = SessionState.new("u1").with_write("0", OPS[0], {"tea": 1, "rusks": 2, "honey": 1})
    after = before.with_write("7", OPS[1], {"tea": 3, "honey": 1}).with_recent(OPS[1])
    event = make_event(before, after)
    assert (event["items"], event["gone"], list(event["writers"])) == ({"tea": 3}, ["rusks"], ["7"])
    assert apply_event(before, event) == after
    assert apply_event(None, make_event(None, before)) == before


async def test_ballast_is_added_at_the_first_start_only(volume: Path) -> None:
    for make in (Checkpoint, EventLog):
        own = volume / make.__name__
        own.mkdir()
        for _ in range(2):
            store = make(own, ballast=100)
            await store.open()
            await store.close()
            assert sum(path.read_bytes().count(b'"ballast"') > 0 for path in own.iterdir()) >= 1
            assert max(path.read_bytes().count(b'"owner":"ballast"') for path in own.iterdir()) == 100


@pytest.mark.parametrize("state", [checkpoint, eventlog])
def test_a_missing_volume_or_a_wrong_ballast_is_refused(state: object, volume: Path) -> None:
    with pytest.raises(SettingsError, match="needs --volume DIR"):
        state.create_store(Settings("r0", "b0"))  # type: ignore[attr-defined]  # a module of targets.state
    options = Options({"ballast": "x"})
    with pytest.raises(SettingsError, match="not a whole number"):
        state.create_store(Settings("r0", "b0", options=options, volume=volume))  # type: ignore[attr-defined]  # as above
