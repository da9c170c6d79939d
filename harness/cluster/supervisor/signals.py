"""What is done to a child in the middle of a run, with the evidence that it took effect."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from harness.cluster.capabilities import Evidence
from harness.cluster.supervisor.client import Child

_EFFECT_TIMEOUT_S = 1.0  # seconds in which a stopped process has to show as stopped, and a killed group as gone


async def kill_child(child: Child | None) -> Evidence:
    """SIGKILL it with its whole process group: landed if that is what ended it, once none of the group is left."""
    if child is None or not child.alive:
        return Evidence(False, {"reason": "it was not running"})
    landed = await child.kill()
    give_up = time.monotonic() + _EFFECT_TIMEOUT_S
    while _group_left(child.pid) and time.monotonic() < give_up:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.001)
    return Evidence(landed, {"pid": child.pid, "signal": "SIGKILL", "pid_gone": not child.alive})


async def terminate_child(child: Child | None, grace: float) -> Evidence:
    """SIGTERM, and SIGKILL after ``grace`` seconds: landed once it is gone; the facts say whether it took force."""
    if child is None or not child.alive:
        return Evidence(False, {"reason": "it was not running"})
    code = await child.stop(grace)
    return Evidence(
        not child.alive,
        {"pid": child.pid, "signal": "SIGTERM", "exit": code, "forced": code == -signal.SIGKILL},
    )


async def pause_child(child: Child | None) -> Evidence:
    """SIGSTOP its process group: landed once the kernel shows it stopped."""
    return await _shown(child, signal.SIGSTOP, lambda state: state == "T")


async def resume_child(child: Child | None) -> Evidence:
    """SIGCONT its process group: landed once the kernel shows it is no longer stopped."""
    return await _shown(child, signal.SIGCONT, lambda state: state not in "TZX")


class Throttle:
    """Keeps a child short of CPU, as a quota would: it stands still for ``by`` seconds, then runs for ``RUNS``."""

    RUNS = 0.01  # seconds

    def __init__(self, child: Child, by: float) -> None:
        self._child = child
        self._by = by
        self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        child = self._child
        while child.alive and not child.end_expected:  # whoever ends it must not find it stopped again
            await child.signal(signal.SIGSTOP, group=True)
            await asyncio.sleep(self._by)
            await child.signal(signal.SIGCONT, group=True)
            await asyncio.sleep(self.RUNS)

    async def end(self) -> None:
        """No longer: whatever it stands at, it is let run."""
        self._working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._working
        await self._child.signal(signal.SIGCONT, group=True)


async def wait_until_stopped(child: Child) -> Evidence:
    """Landed once the kernel shows it stopped, whoever stops it."""
    return await _awaited(child, "SIGSTOP", lambda state: state == "T")


async def _shown(child: Child | None, number: signal.Signals, holds: Callable[[str], bool]) -> Evidence:
    if child is None or not child.alive or not await child.signal(number, group=True):
        return Evidence(False, {"reason": "it was not running"})
    return await _awaited(child, number.name, holds)


async def _awaited(child: Child, signal_name: str, holds: Callable[[str], bool]) -> Evidence:
    give_up = time.monotonic() + _EFFECT_TIMEOUT_S
    while not (landed := holds(state := child.state)) and time.monotonic() < give_up:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.001)
    return Evidence(landed, {"pid": child.pid, "signal": signal_name, "state": state})


def _group_left(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # what is left runs as another user
        pass
    return True
