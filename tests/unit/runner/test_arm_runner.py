"""An arm that is broken off, and what is said about it."""

import asyncio
import io
from types import SimpleNamespace
from typing import Any

import pytest

from harness.common.clock import Clock
from harness.common.errors import UntrustedError
from harness.runner.arm_runner import ArmRunner
from harness.runner.progress import PlainProgress


async def test_what_cannot_be_undone_after_an_interruption_is_said() -> None:
    async def measured() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise UntrustedError("its replicas should be 2, not 4")

    stream, nothing = io.StringIO(), SimpleNamespace(deaths=asyncio.Queue())
    backend: Any = nothing
    runner = ArmRunner(backend, backend, 1, PlainProgress(stream))
    arm = asyncio.create_task(runner._fail_if_a_part_dies(measured(), Clock()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    arm.cancel()
    with pytest.raises(asyncio.CancelledError):
        await arm
    assert stream.getvalue() == "while it ended: its replicas should be 2, not 4\n"
