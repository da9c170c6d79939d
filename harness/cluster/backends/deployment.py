"""Where one design is brought up, and the steps that are the same for all its replicas."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.replicas.managed import ManagedReplica, OnStart
from harness.cluster.watch.logs import bound_logs
from harness.common.clock import Clock
from harness.scenario.design import Design


@dataclass(frozen=True)
class Deployment:
    """One design being brought up. All its parts end with ``scope``; the balancer gets ``port`` (0: any free one)."""

    scope: AsyncExitStack
    design: Design
    logs: Path
    port: int
    clock: Clock
    on_start: OnStart

    @property
    def names(self) -> Sequence[str]:
        """The names of the replicas."""
        return [f"r{index}" for index in range(self.design.replicas or 1)]

    @property
    def journal(self) -> Path:
        """The effect journal, which all replicas append to."""
        return self.logs / "journal.jsonl"

    async def start_all(self, replicas: Sequence[ManagedReplica]) -> None:
        """Start all replicas at once and wait until they are ready. They are stopped with the scope."""
        self.scope.push_async_callback(run_together, [replica.stop for replica in replicas])
        await run_together([replica.start for replica in replicas])

    async def bound_replica_logs(self) -> None:
        """Keep the logs of user-supplied replicas small until the scope ends."""
        await self.scope.enter_async_context(bound_logs([self.logs / f"{name}.log" for name in self.names]))


async def run_together(actions: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run all actions at once. The first failure cancels the others, and is raised."""

    async def run(action: Callable[[], Awaitable[None]]) -> None:
        await action()

    try:
        async with asyncio.TaskGroup() as group:
            for action in actions:
                group.create_task(run(action))
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None
