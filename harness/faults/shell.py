"""A fault by your own commands, for what the harness did not start."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import ClassVar

from harness.cluster.capabilities import Evidence, ReportsEnds
from harness.common.errors import UsageError
from harness.common.waiting import wait_until
from harness.faults.fault import FaultTopology, Reversible

_COMMAND_TIMEOUT_S = 30.0
_EVIDENCE_TIMEOUT_S = 10.0  # in which the evidence has to appear, and after the undo to disappear
_POLL_INTERVAL_S = 0.1
_MAX_OUTPUT = 200  # bytes of a command's output that are kept
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, init=False)
class Shell(Reversible):
    """Run ``command`` with ``sh -c``, and ``undo`` at the latest when the load is over.

    It landed if the command exits 0 and, where there is one, ``evidence`` does so too (within ten seconds). It is
    undone if ``undo`` (kept as ``undo_command``) exits 0 and ``evidence`` no longer does. Reports call its target
    ``name``. All three commands are shown before anything runs. A run keeps their exit codes and their output, but
    not their text.
    """

    command: str
    undo_command: str
    evidence: str
    name: str
    kind: ClassVar[str] = "shell"
    external: ClassVar[bool] = True

    def __init__(self, command: str, *, undo: str, evidence: str = "", name: str = "service") -> None:
        if not command.strip() or not undo.strip():
            raise UsageError("Shell needs a command and an undo", 'Shell("systemctl kill x", undo="systemctl start x")')
        for field, value in {"command": command, "undo_command": undo, "evidence": evidence, "name": name}.items():
            object.__setattr__(self, field, value)

    @property
    def target(self) -> str:
        """The name that you gave it."""
        return self.name

    @property
    def commands(self) -> tuple[str, ...]:
        """All that it will run."""
        return tuple(filter(None, (self.command, self.evidence, self.undo_command)))

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Run the command; the evidence is that it and the ``evidence`` command exit 0, and which pods it ended."""
        command = partial(self.run, broken=True)
        workload = topology.workload
        return await (workload.break_by(command) if isinstance(workload, ReportsEnds) else command())

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Run the undo; the evidence is that it exits 0 and that the ``evidence`` command no longer does.

        If pods of a workload ended, it is also that others have replaced them.
        """
        command = partial(self.run, broken=False)
        workload = topology.workload
        return await (workload.undo_by(command) if isinstance(workload, ReportsEnds) else command())

    async def run(self, broken: bool, env: Mapping[str, str] = _NOTHING) -> Evidence:
        """Run the command, or the undo where it is not to be ``broken``, with these variables besides its own."""
        code, output = await _run(self.command if broken else self.undo_command, env)
        confirmed = code == 0 and (not self.evidence or await self._evidence_is(broken, env))
        facts: dict[str, str | int | float | bool | None] = {"exit": code, "said": output}
        return Evidence(confirmed, {**facts, "shown": confirmed} if self.evidence else facts)

    async def _evidence_is(self, broken: bool, env: Mapping[str, str]) -> bool:
        """Whether the ``evidence`` command exits 0 (or, where not ``broken``, no longer does), now or soon."""

        async def agrees() -> bool:
            return ((await _run(self.evidence, env))[0] == 0) is broken

        return await wait_until(agrees, _EVIDENCE_TIMEOUT_S, _POLL_INTERVAL_S)


async def _run(command: str, env: Mapping[str, str]) -> tuple[int, str]:
    """The command's exit code (124 where it took too long), and the end of its output."""
    with tempfile.TemporaryFile() as output:  # no pipe: a program that it leaves in the background would keep that open
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **env},
            start_new_session=True,
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
        output.seek(max(0, output.tell() - _MAX_OUTPUT))
        return code, output.read().decode(errors="replace").strip()
