"""Where the parts of a topology run: as processes of this machine, or as containers of a Docker engine."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.supervisor import ProcessSupervisor

NAMES = ("process", "docker")


@asynccontextmanager
async def open_backend(backend: str, supervisor: ProcessSupervisor, run: str) -> AsyncIterator[ProcessBackend]:
    """Open a backend for the length of a scope. Its replicas answer with the nonce ``run``.

    Raises:
        EnvironmentLacksError: the backend is not available on this machine.
    """
    secret = secrets.token_hex(16)
    if backend == "process":
        yield ProcessBackend(supervisor, nonce=run, secret=secret)
        return
    from harness.cluster.backends.docker import DockerBackend  # noqa: PLC0415 - loads the Docker SDK only if needed
    from harness.cluster.containers import connect_engine, supervise_containers  # noqa: PLC0415

    async with supervise_containers(connect_engine(), supervisor, run) as containers:
        yield DockerBackend(containers, nonce=run, secret=secret)
