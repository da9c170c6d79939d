"""Probes of the processes that a benchmark starts."""

import asyncio

import psutil

from harness.common.ports import LOOPBACK


async def is_listening(port: int) -> bool:
    """Whether a server accepts connections at this port of the loopback address."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


def cpu_seconds(process: psutil.Process) -> float:
    """The CPU time that a process has used, in user and kernel mode."""
    times = process.cpu_times()
    return float(times.user + times.system)
