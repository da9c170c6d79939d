"""An arm that is broken off, and what is said about it."""

import asyncio
import io
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.common.clock import Clock
from harness.common.errors import UntrustedError
from harness.runner.arm_runner import ArmRunner
from harness.runner.progress import PlainProgress
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses


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


class FakeDriver:
    """A load that ends at once, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def wait_until_ready(self) -> None:
        self.asked.append("ready")

    def start(self, url: str) -> int:
        self.asked.append(f"start {url}")
        return 0

    async def wait_until_stopped(self) -> None:
        self.asked.append("stopped")

    async def sweep(self) -> int:
        self.asked.append("sweep")
        return 0


@pytest.mark.parametrize(("drivers", "last"), [(ONE_PROCESS, "stopped"), (DriverProcesses(inside=1), "sweep")])
async def test_a_load_elsewhere_is_swept_without_which_its_records_would_not_come(
    drivers: DriverProcesses, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeDriver()
    monkeypatch.setattr(ArmRunner, "_driver", lambda *_: nullcontext(driver))
    supervisor: Any = SimpleNamespace(deaths=asyncio.Queue())
    recorder: Any = SimpleNamespace(topology=None, clock=Clock(), earlier_samples=0, complete=False)
    topology: Any = SimpleNamespace(url="http://127.0.0.1:1", samples=())
    runner = ArmRunner(supervisor, supervisor, 1, PlainProgress(io.StringIO()), drivers=drivers)
    await runner.run_load(recorder, Path("users.py"), topology)
    assert driver.asked[-1] == last and recorder.complete
