"""Starts a Docker supervisor, and removes all that it made."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.cluster.containers import sweep
from harness.cluster.containers.docker_supervisor import DockerSupervisor
from harness.cluster.containers.engine import Engine
from harness.cluster.containers.events import watch_events
from harness.cluster.containers.image import image
from harness.cluster.supervisor import ProcessSupervisor
from harness.common.errors import UntrustedError


@asynccontextmanager
async def supervise_containers(
    engine: Engine, processes: ProcessSupervisor, run: str
) -> AsyncIterator[DockerSupervisor]:
    """Supervise the containers of a run for the length of a scope.

    Afterwards no container and no network of the run is left, however the scope or the harness ended.

    Raises:
        EnvironmentLacksError: there is no image and none can be made, or the engine makes no network.
    """
    supervisor = DockerSupervisor(engine, processes, run, await asyncio.to_thread(image, engine))
    await processes.run_at_end((sys.executable, "-P", str(Path(sweep.__file__)), run))
    try:
        await asyncio.to_thread(supervisor.make_networks)
        with watch_events(engine, supervisor.on_event, supervisor.on_engine_lost):
            yield supervisor
    finally:
        await asyncio.shield(asyncio.to_thread(sweep.sweep, engine.client, run))
        with contextlib.suppress(UntrustedError):  # the supervisor process is gone
            await processes.run_at_end(())
