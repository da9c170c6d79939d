"""Starts a Kubernetes supervisor, and removes all that it created."""

import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from harness.cluster.kubernetes.api import ApiUnreachableError, KubernetesApi, connect_api, require_allowed
from harness.cluster.kubernetes.api_silence import report_silence
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.pod_watch import watch_pods
from harness.cluster.kubernetes.run_namespace import RunNamespace, open_namespace
from harness.cluster.kubernetes.tunnels import Tunnels
from harness.cluster.supervisor import ProcessSupervisor
from harness.common.background import background
from harness.common.errors import EnvironmentLacksError, UntrustedError
from harness.scenario.cluster_access import ClusterAccess

#: For how long the API server may be away without ending a run.
PATIENCE_S = 30.0


@asynccontextmanager
async def supervise_pods(
    access: ClusterAccess, processes: ProcessSupervisor, run: str
) -> AsyncIterator[KubernetesSupervisor]:
    """Supervise the pods of a run for the length of a scope, in a namespace of its own.

    Afterwards the namespace is gone, however the scope or the harness ended.

    Raises:
        UsageError: the context does not exist, or leads to another machine and is not allowed.
        EnvironmentLacksError: there is no cluster, it does not answer, or refuses the namespace.
    """
    api = await connect_api(access.context)
    require_allowed(api, access.allowed)
    api.patience_s = PATIENCE_S
    async with (
        _open_swept_namespace(api, access.prefix, run, processes) as namespace,
        watch_pods(namespace) as watch,
        background(report_silence(api, processes.deaths)),
    ):
        tunnels = Tunnels(namespace) if access.forwarded else None
        yield KubernetesSupervisor(namespace, watch, processes, access.image, tunnels)


@asynccontextmanager
async def _open_swept_namespace(
    api: KubernetesApi, prefix: str, run: str, processes: ProcessSupervisor
) -> AsyncIterator[RunNamespace]:
    """The namespace of a run for the length of a scope; the supervisor process removes what the scope leaves of it."""
    await processes.run_at_end((sys.executable, "-P", "-m", "harness.cluster.kubernetes", run, api.context))
    async with AsyncExitStack() as stack:
        try:
            namespace = await stack.enter_async_context(open_namespace(api, prefix, run))
        except ApiUnreachableError:
            raise  # it may be there nevertheless
        except EnvironmentLacksError:
            await processes.run_at_end(())
            raise
        yield namespace
    with contextlib.suppress(UntrustedError):  # the supervisor process is gone
        await processes.run_at_end(())
