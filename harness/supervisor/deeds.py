"""What is done to a child in the middle of a run, with the evidence that it took effect."""

import asyncio
import signal
import time
from collections.abc import Callable

from harness.parts import Evidence
from harness.supervisor.client import Child
from harness.supervisor.main import stat

_SHOWS_WITHIN = 1.0  # seconds in which a stopped process has to show as stopped


async def killed(child: Child | None) -> Evidence:
    """SIGKILL it with its whole process group: landed if that is what ended it."""
    if child is None or not child.alive:
        return Evidence(False, {"reason": "it was not running"})
    landed = await child.kill()
    return Evidence(landed, {"pid": child.pid, "signal": "SIGKILL", "pid_gone": not child.alive})


async def paused(child: Child | None) -> Evidence:
    """SIGSTOP its process group: landed once the kernel shows it stopped."""
    return await _shown(child, signal.SIGSTOP, lambda state: state == "T")


async def resumed(child: Child | None) -> Evidence:
    """SIGCONT its process group: landed once the kernel shows it is no longer stopped."""
    return await _shown(child, signal.SIGCONT, lambda state: state not in "TZX")


async def _shown(child: Child | None, number: signal.Signals, holds: Callable[[str], bool]) -> Evidence:
    if child is None or not child.alive or not await child.signal(number, group=True):
        return Evidence(False, {"reason": "it was not running"})
    give_up = time.monotonic() + _SHOWS_WITHIN
    while not (landed := holds(state := _state(child.pid))) and time.monotonic() < give_up:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.001)
    return Evidence(landed, {"pid": child.pid, "signal": number.name, "state": state})


def _state(pid: int) -> str:
    found = stat(pid)
    return found.state if found else "X"
