"""Signals that a fault sends to a child, each with the evidence that it took effect."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from harness.cluster.capabilities import Evidence
from harness.cluster.supervisor.child import Child
from harness.common.background import background
from harness.common.waiting import wait_until

THROTTLE_RUN_S = 0.01
_EFFECT_TIMEOUT_S = 1.0  # for a stopped process to show as stopped, and for a killed group to be gone
_POLL_INTERVAL_S = 0.001
_NOT_RUNNING = Evidence(False, {"reason": "it was not running"})


async def kill_child(child: Child | None) -> Evidence:
    """SIGKILL its process group and wait until the group is gone: confirmed if this signal ended the child."""
    if child is None or not child.alive:
        return _NOT_RUNNING
    confirmed = await child.kill()
    await wait_until(lambda: not _group_exists(child.pid), _EFFECT_TIMEOUT_S, _POLL_INTERVAL_S)
    return Evidence(confirmed, {"pid": child.pid, "signal": "SIGKILL", "pid_gone": not child.alive})


async def terminate_child(
    child: Child | None, grace: float, inspect: Callable[[], Mapping[str, int]] = dict
) -> Evidence:
    """Send SIGTERM, then SIGKILL after ``grace`` seconds: confirmed once it is gone.

    The fact ``forced`` says whether SIGKILL was needed. If so, ``inspect`` counts just before it what it cuts off.
    """
    if child is None or not child.alive:
        return _NOT_RUNNING
    facts: Mapping[str, int] = {}
    if forced := not await child.ends_within(grace):
        facts = await asyncio.to_thread(inspect)
        forced = await child.kill()
    code = await child.wait()
    return Evidence(
        not child.alive,
        {"pid": child.pid, "signal": "SIGTERM", "exit": code, "forced": forced, "grace_s": grace, **facts},
    )


async def pause_child(child: Child | None) -> Evidence:
    """SIGSTOP its process group: confirmed once the kernel shows it stopped."""
    return await _signal_group(child, signal.SIGSTOP, lambda state: state == "T")


async def resume_child(child: Child | None) -> Evidence:
    """SIGCONT its process group: confirmed once the kernel shows that it is no longer stopped."""
    return await _signal_group(child, signal.SIGCONT, lambda state: state not in "TZX")


async def wait_until_stopped(child: Child) -> Evidence:
    """Wait until something stops it: confirmed once the kernel shows it stopped."""
    return await _wait_for_state(child, "SIGSTOP", lambda state: state == "T")


@asynccontextmanager
async def throttle(child: Child, pause_s: float) -> AsyncIterator[None]:
    """Keep a child short of CPU, as a quota would: it is stopped for ``pause_s``, then runs for ``THROTTLE_RUN_S``."""
    async with background(_alternate(child, pause_s)):
        yield
    await child.signal(signal.SIGCONT, group=True)


async def _alternate(child: Child, pause_s: float) -> None:
    while child.alive and not child.end_expected:  # a child that is being ended must not be stopped again
        await child.signal(signal.SIGSTOP, group=True)
        await asyncio.sleep(pause_s)
        await child.signal(signal.SIGCONT, group=True)
        await asyncio.sleep(THROTTLE_RUN_S)


async def _signal_group(child: Child | None, number: signal.Signals, expected: Callable[[str], bool]) -> Evidence:
    if child is None or not child.alive or not await child.signal(number, group=True):
        return _NOT_RUNNING
    return await _wait_for_state(child, number.name, expected)


async def _wait_for_state(child: Child, signal_name: str, expected: Callable[[str], bool]) -> Evidence:
    state = ""

    def reached() -> bool:
        nonlocal state
        state = child.state
        return expected(state)

    confirmed = await wait_until(reached, _EFFECT_TIMEOUT_S, _POLL_INTERVAL_S)
    return Evidence(confirmed, {"pid": child.pid, "signal": signal_name, "state": state})


def _group_exists(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the rest of the group runs as another user
        pass
    return True
