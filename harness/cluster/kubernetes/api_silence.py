"""Notices an API server that does not answer: without its reports, nobody knows what happened to the pods."""

import asyncio
import contextlib

from harness.cluster.kubernetes.api import ApiUnreachableError, KubernetesApi
from harness.cluster.supervisor import Death
from harness.common.errors import EnvironmentLacksError

#: For how many seconds the server may be silent without spoiling the evidence.
SILENCE_S = 5
_INTERVAL_S = 1.0
_RETRY_S = 0.2


class Silence(Death):
    """The API server did not answer for so long that evidence may be missing."""

    def describe(self) -> str:
        """A sentence about it."""
        return f"the API server did not answer for {SILENCE_S} s: what happened to the pods meanwhile is unknown"


async def report_silence(api: KubernetesApi, deaths: asyncio.Queue[Death], interval_s: float = _INTERVAL_S) -> None:
    """Ask the server for its version in each interval, and report each time that ``SILENCE_S`` of them have no answer.

    So a server that hangs is noticed too, although its watches seem to live. If this process is what stands still, all
    of that time counts as one interval.
    """
    while True:
        answer = asyncio.create_task(_hear(api))
        try:
            for _ in range(SILENCE_S):
                answered, _pending = await asyncio.wait({answer}, timeout=interval_s)
                if answered:
                    break
            else:
                deaths.put_nowait(Silence("the API server", "cluster", 0))
            await answer
        finally:
            answer.cancel()
        await asyncio.sleep(interval_s)


async def _hear(api: KubernetesApi) -> None:
    """Wait until the server answers, be it with a refusal."""
    with contextlib.suppress(EnvironmentLacksError):
        while True:
            try:
                await api.version()
                return
            except ApiUnreachableError:
                await asyncio.sleep(_RETRY_S)
