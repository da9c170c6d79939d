"""Starts the load in pods, and reaches it by connections that the API server forwards."""

import asyncio
import socket
from collections.abc import Mapping

from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.manifests import PodTemplate
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.pod_watch import PodWatch
from harness.cluster.kubernetes.run_namespace import RunNamespace
from harness.cluster.supervisor import Child, ProcessSpec, ProcessSupervisor
from harness.common.errors import EnvironmentLacksError

_GREETED_WITHIN_S = 60.0
_RETRY_S = 0.2
_GRACE_S = 1


class LoadPods(KubernetesSupervisor):
    """Starts load processes as pods in the namespace of a run, spread over the nodes."""

    image_hint = "make image IMAGE_ARGS=--locust, and load it as docs/kubernetes.md says; or --load-image REF"

    def __init__(self, namespace: RunNamespace, watch: PodWatch, processes: ProcessSupervisor, image: str) -> None:
        super().__init__(namespace, watch, processes, image)
        self._forwarding: set[asyncio.Task[None]] = set()

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a load process in a pod of its own, with copies of the files in its working directory.

        Raises:
            EnvironmentLacksError: the cluster does not start it.
        """
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        name, logs = f"{spec.name}-{next(self._numbers)}", spec.log.parent
        secrets = {variable: f"{name}-{number}" for number, variable in enumerate(spec.secrets)}
        for variable, secret in secrets.items():
            await self.namespace.create(manifests.secret(spec.secrets[variable], secret), logs)
        template = PodTemplate(
            spec.name.partition("-")[0],  # a worker is spread among the workers
            self.image,
            ("python3", *spec.argv[1:]),
            port=0,
            env=spec.env,
            grace_s=_GRACE_S,
            files=await self._create_files(name, spec),
            restarts=False,
            secrets=secrets,
            spread=True,
        )
        await self.namespace.create(manifests.pod(name, template), logs)
        return self.adopt(spec, await self.wait_until_running(name))

    def address(self, name: str, role: str = "replica") -> str:
        """Return the address of a load process's pod."""
        return self._pod(name).address

    async def spawn_with_channel(self, spec: ProcessSpec, variable: str) -> tuple[Child, socket.socket]:
        """Start a load process, and connect to the port of its loopback that is in the variable ``<variable>_PORT``.

        An empty line says that it is there. If it ends before, the connection is closed, and its log is complete.

        Raises:
            EnvironmentLacksError: the cluster does not start it, forwards no connections, or the process is silent.
        """
        child = await self.spawn(spec)
        pod, port = self._pod(spec.name), int(spec.env[f"{variable}_PORT"])
        try:
            async with asyncio.timeout(_GREETED_WITHIN_S):
                while True:
                    own_end, forwarding = await self._connect(pod, port)
                    if await asyncio.get_running_loop().sock_recv(own_end, 1):
                        return child, own_end
                    if not child.alive:
                        await self.logs.drain()
                        return child, own_end
                    own_end.close()
                    await forwarding
                    await asyncio.sleep(_RETRY_S)
        except TimeoutError:
            raise EnvironmentLacksError(f"{pod.name} does not answer, see {spec.log}", self.image_hint) from None

    async def _connect(self, pod: PodState, port: int) -> tuple[socket.socket, asyncio.Task[None]]:
        """One end of a connection that is forwarded until that end is closed, and what forwards it."""
        own_end, other_end = socket.socketpair()
        own_end.setblocking(False)
        connection = await asyncio.open_connection(sock=other_end)
        task = asyncio.create_task(self.namespace.api.forward(connection, pod.name, self.namespace.name, port))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)
        return own_end, task

    def _pod(self, name: str) -> PodState:
        """The latest pod of a load process."""
        started = next(adopted.pod for adopted in reversed(self._adopted.values()) if adopted.child.name == name)
        return self.watch.pods.get(started.name, started)
