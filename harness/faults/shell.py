"""A fault by commands of the user's own, for what the harness did not start."""

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence
from harness.common.errors import UsageError
from harness.faults.fault import FaultTopology

_COMMAND_TIMEOUT_S = 30.0  # seconds that a command may take
_EVIDENCE_TIMEOUT_S = 10.0  # seconds in which the evidence has to come, and after the undo to go
_POLL_INTERVAL_S = 0.1
_TOLD = 200  # characters of what a command says


@dataclass(frozen=True, init=False)
class Shell:
    """Run ``command`` with ``sh -c``, and ``undo`` at the latest when the load is over.

    It landed when the command exits 0 and, where there is one, ``evidence`` does so too (within ten seconds); undone
    when ``undo`` (kept as ``mending``) exits 0 and ``evidence`` no longer does. ``name`` is what reports call it. All
    three are shown before anything runs.
    """

    command: str
    mending: str
    evidence: str
    name: str
    kind: ClassVar[str] = "shell"

    def __init__(self, command: str, *, undo: str, evidence: str = "", name: str = "service") -> None:
        if not command.strip() or not undo.strip():
            raise UsageError("Shell needs a command and an undo", 'Shell("systemctl kill x", undo="systemctl start x")')
        for field, value in {"command": command, "mending": undo, "evidence": evidence, "name": name}.items():
            object.__setattr__(self, field, value)

    @property
    def target(self) -> str:
        """What it breaks, by the user's word."""
        return self.name

    @property
    def commands(self) -> tuple[str, ...]:
        """All that it will run."""
        return tuple(filter(None, (self.command, self.evidence, self.mending)))

    def check(self, replicas: int) -> None:
        """It depends on nothing of ours."""

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Run the command; the evidence is its exit code, or better the evidence's."""
        return await self._done(self.command, broken=True)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Run the undo; the evidence is that it exits 0 and that nothing shows the fault any more."""
        return await self._done(self.mending, broken=False)

    async def _done(self, command: str, broken: bool) -> Evidence:
        code, said = await _run(command)
        shown = code == 0 and (not self.evidence or await self._shows(broken))
        facts: dict[str, str | int | float | bool | None] = {"command": command, "exit": code, "said": said}
        return Evidence(shown, {**facts, "evidence": self.evidence, "shown": shown} if self.evidence else facts)

    async def _shows(self, broken: bool) -> bool:
        """Whether the evidence holds (or no longer does), now or soon."""
        give_up = time.monotonic() + _EVIDENCE_TIMEOUT_S
        while ((await _run(self.evidence))[0] == 0) is not broken:
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(_POLL_INTERVAL_S)
        return True


@dataclass(frozen=True)
class Undo:
    """The end of a Shell before the run's end, at a time of its own; ``name`` is the Shell's."""

    name: str = "service"
    kind: ClassVar[str] = "undo"

    @property
    def target(self) -> str:
        """What was broken."""
        return self.name

    @property
    def ends(self) -> str:
        """The kind of fault that it ends."""
        return Shell.kind

    def check(self, replicas: int) -> None:
        """It depends on nothing of ours."""


async def _run(command: str) -> tuple[int, str]:
    """The command's exit code (124 where it took too long), and the end of what it said."""
    with tempfile.TemporaryFile() as said:  # no pipe: what it leaves running in the background would hold that open
        process = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            code = await asyncio.wait_for(process.wait(), _COMMAND_TIMEOUT_S)
        except TimeoutError:
            code = 124
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        said.seek(max(0, said.tell() - _TOLD))
        return code, said.read().decode(errors="replace").strip()
