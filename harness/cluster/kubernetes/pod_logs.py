"""The logs of pods, appended to files while they are written."""

import asyncio
import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import TextIO

from harness.cluster.kubernetes.api import ApiUnreachableError
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.run_namespace import RunNamespace
from harness.common.errors import EnvironmentLacksError, UntrustedError

_RETRY_S = 0.2
_DRAIN_TIMEOUT_S = 5.0  # in which the node passes on what a container printed before its end


class PodLogs:
    """Follows the log of every container that it is given, each until its end."""

    def __init__(self, namespace: RunNamespace) -> None:
        self.sigterms: dict[str, float] = {}  # when a pod reported SIGTERM, by its uid; in seconds of its node's clock
        self._namespace = namespace
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}  # by pod and number of the container's start
        self._problems: dict[str, str] = {}  # why the log of a pod cannot be read at the moment

    def follow(self, pod: PodState, log: Path, journal: Path | None = None) -> None:
        """Append what a container prints to ``log``; lines of the effect journal go to ``journal`` instead."""
        key = (pod.uid, pod.restarts)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._follow(pod, log, journal))

    async def drain(self) -> None:
        """Wait until all that ended containers printed is in the files; those of running ones are cut off.

        Raises:
            UntrustedError: a log cannot be read, and effects of the service may be missing in the journal.
        """
        tasks, problems = list(self._tasks.values()), self._problems
        self._tasks, self._problems = {}, {}
        if tasks:
            await asyncio.wait(tasks, timeout=_DRAIN_TIMEOUT_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for pod, problem in problems.items():
            raise UntrustedError(f"the log of {pod} cannot be read: {problem}", "kubectl logs shows whether it works")

    async def _follow(self, pod: PodState, log: Path, journal: Path | None) -> None:
        """Read the log to its end. If the stream breaks off, go on behind the last line that was read."""
        last = ""
        while True:
            resumed_at = last
            try:
                async with self._namespace.api.log(pod.name, self._namespace.name, resumed_at or None) as lines:
                    self._problems.pop(pod.name, None)
                    async for line in lines:
                        last, _, text = line.partition(" ")
                        if last > resumed_at:
                            _keep(text, log, journal)
                            if text.startswith('{"stopping"'):
                                self.sigterms[pod.uid] = datetime.fromisoformat(last).timestamp()
                return
            except ApiUnreachableError as problem:
                self._problems[pod.name] = problem.message
                await asyncio.sleep(_RETRY_S)
            except EnvironmentLacksError:  # the pod is gone
                return


def _keep(text: str, log: Path, journal: Path | None) -> None:
    with contextlib.suppress(OSError):  # a full disk: other parts report it
        file: TextIO
        with (journal if journal is not None and _is_effect(text) else log).open("a") as file:
            file.write(f"{text}\n")


def _is_effect(text: str) -> bool:
    """Whether a line is one of the effect journal, which replicas print if they share no directory."""
    if not text.startswith('{"op"'):
        return False
    with contextlib.suppress(ValueError):
        return "effect" in json.loads(text)
    return False
