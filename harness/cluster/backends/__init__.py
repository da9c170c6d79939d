"""Where the parts of a topology run: as processes, as containers of a Docker engine, or as pods of Kubernetes."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.kubernetes import require_client
from harness.cluster.replicas.builtin import start_warm_targets
from harness.cluster.supervisor import ProcessSupervisor
from harness.common.bundled import targets_home
from harness.scenario.cluster_access import DEFAULT_ACCESS, ClusterAccess

NAMES = ("process", "docker", "kubernetes")


@asynccontextmanager
async def open_backend(
    backend: str, supervisor: ProcessSupervisor, run: str, access: ClusterAccess = DEFAULT_ACCESS
) -> AsyncIterator[ProcessBackend]:
    """Open a backend for the length of a scope. Its replicas answer with the nonce ``run``.

    Raises:
        EnvironmentLacksError: the backend is not available on this machine.
    """
    secret = secrets.token_hex(16)
    if backend == "process":
        warm = await start_warm_targets(supervisor, targets_home())
        yield ProcessBackend(supervisor, nonce=run, secret=secret, warm=warm)
    elif backend == "docker":
        async with open_docker(supervisor, run, secret) as docker:
            yield docker
    else:
        async with open_kubernetes(supervisor, run, secret, access) as kubernetes:
            yield kubernetes


@asynccontextmanager
async def open_docker(supervisor: ProcessSupervisor, run: str, secret: str) -> AsyncIterator[ProcessBackend]:
    """Open the Docker backend for the length of a scope."""
    from harness.cluster.backends.docker import DockerBackend  # noqa: PLC0415 - loads the Docker SDK only if needed
    from harness.cluster.containers import connect_engine, supervise_containers  # noqa: PLC0415

    async with supervise_containers(connect_engine(), supervisor, run) as containers:
        yield DockerBackend(containers, nonce=run, secret=secret)


@asynccontextmanager
async def open_kubernetes(
    supervisor: ProcessSupervisor, run: str, secret: str, access: ClusterAccess
) -> AsyncIterator[ProcessBackend]:
    """Open the Kubernetes backend for the length of a scope."""
    require_client()
    from harness.cluster.backends.kubernetes import KubernetesBackend  # noqa: PLC0415 - loads its client only if needed
    from harness.cluster.kubernetes.launch import supervise_pods  # noqa: PLC0415
    from harness.cluster.kubernetes.load_pods import LoadPods  # noqa: PLC0415

    async with supervise_pods(access, supervisor, run) as pods:
        load = LoadPods(pods.namespace, pods.watch, supervisor, access.load_image)
        yield KubernetesBackend(pods, load, nonce=run, secret=secret)
