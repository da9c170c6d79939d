"""Where the parts of a topology run: as processes of this machine, or as containers of a Docker engine."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import ProcessSupervisor

NAMES = ("process", "docker")


@asynccontextmanager
async def open_backend(backend: str, supervisor: ProcessSupervisor, run: str) -> AsyncIterator[ProcessBackend]:
    """A backend for the length of a scope. ``run`` is what its replicas answer with.

    Raises:
        EnvironmentLacksError: it is not on this machine.
    """
    secret = secrets.token_hex(16)
    if backend == "process":
        yield ProcessBackend(supervisor, nonce=run, secret=secret)
        return
    from harness.cluster.backends.docker import DockerBackend  # noqa: PLC0415
    from harness.cluster.containers import connect_engine, supervise_containers  # noqa: PLC0415 - its SDK is loaded where it is used

    async with supervise_containers(connect_engine(), supervisor, run) as dock:
        yield DockerBackend(dock, nonce=run, secret=secret)
