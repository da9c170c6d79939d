"""Starts balancers and stores as pods, and accounts for every pod of a run, with the interface of a supervisor.

Replicas are pods of a workload, which its controller starts: they are adopted.
"""

import itertools
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.container_process import find_process
from harness.cluster.kubernetes.kinds import CLAIM, EVENT, POD
from harness.cluster.kubernetes.manifests import FILES, PodTemplate
from harness.cluster.kubernetes.pod_logs import PodLogs
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.pod_watch import PodTimes, PodWatch
from harness.cluster.kubernetes.run_namespace import RunNamespace
from harness.cluster.kubernetes.tunnels import Tunnels
from harness.cluster.supervisor import Child, Death, ProcessSpec, ProcessSupervisor, Supervisor
from harness.common.errors import EnvironmentLacksError

_CLAIM_HINT = "kubectl get storageclass shows what provides volumes; one of them has to be the default"
_START_TIMEOUT_S = 60.0  # an image may have to be pulled
_SIGNAL_EXIT_CODE = 128  # a greater exit code is this plus the number of a signal
_GRACE_S = 1  # of a balancer or a store: HAProxy ignores SIGTERM as the first process of a container
#: Runs a program in a directory of its own, with copies of the files that it starts with: those of a ConfigMap cannot
#: be replaced. A file is replaced at once, so that a program that watches it never reads half of it.
_COPY_FILES = ("/bin/sh", "-c", f'cp -L {FILES}/* . && exec "$0" "$@"')
_REPLACE_FILE = ("/bin/sh", "-c", 'printf %s "$1" >"$0.new" && mv "$0.new" "$0"')
_ENDS_WITHIN_S = 10.0  # of SIGKILL; on a busy machine it takes about two
_NOBODY = 65534  # runs the stores: PostgreSQL refuses to run as root
_RELOAD = ("/bin/sh", "-c", "kill -s HUP 1")


@dataclass
class _Adopted:
    """A container that runs or ran in a pod, with the child that stands for it."""

    child: Child
    pod: PodState
    killed: bool = False


class KubernetesSupervisor(Supervisor):
    """Starts parts as pods in the namespace of a run; processes such as the load are started by ``processes``."""

    listen = "0.0.0.0"  # noqa: S104 - inside the pod
    shares_files = False
    image_hint = "make image, docker save session-harness -o image.tar, tools/cluster load image.tar; or --image REF"

    def __init__(
        self,
        namespace: RunNamespace,
        watch: PodWatch,
        processes: ProcessSupervisor,
        image: str,
        tunnels: Tunnels | None = None,
    ) -> None:
        self.namespace = namespace
        self.watch = watch
        self.processes = processes
        self.deaths = processes.deaths
        self.image = image
        self.logs = PodLogs(namespace)
        self._numbers = itertools.count(1)
        self._adopted: dict[int, _Adopted] = {}
        self._addresses: dict[str, str] = {}  # of the Service of a part, by the part's name
        self._tunnels = tunnels
        self._tunnelled: dict[tuple[str, int], tuple[str, int]] = {}  # what leads to a port of a part
        watch.on_pod.append(self._on_pod)

    @property
    def scratch(self) -> Path:
        """The scratch directory of ``processes``."""
        return self.processes.scratch

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes that are alive; pods only if this machine is their node."""
        pods = (adopted.child for adopted in self._adopted.values())
        return (*self.processes.children, *(child for child in pods if child.alive and child.pid))

    def address(self, name: str, role: str = "replica") -> str:
        """Return the address of a part's Service."""
        return self._addresses[name]

    @property
    def forwards(self) -> bool:
        """Whether the harness reaches pods through the API server."""
        return self._tunnels is not None

    def reach(self, name: str, port: int) -> tuple[str, int]:
        """Return the address of a part's Service, or that of the tunnel to its pod."""
        return self._tunnelled.get((name, port), (self._addresses[name], port))

    async def reach_pod(self, pod: PodState, port: int) -> tuple[str, int]:
        """Return the address of a pod, or that of a tunnel to it."""
        return await self._tunnels.open(lambda: pod.name, port) if self._tunnels else (pod.address, port)

    def unreachable(self, pod: PodState, port: int) -> EnvironmentLacksError:
        """The error for a pod that is ready, and does not answer here."""
        if self._tunnels:
            problem = self._tunnels.problem or "nothing answers through the API server"
            return EnvironmentLacksError(f"{pod.name} is ready, but {problem}", "see the log of the pod")
        return EnvironmentLacksError(
            f"{pod.name} is ready, but {pod.address}:{port} cannot be reached from this machine",
            "--load-inside 1, with the image of docs/kubernetes.md, needs no address of the cluster",
        )

    def program(self, name: str, locate: Callable[[], str]) -> str:
        """Return the name of a program, which is in the image."""
        return name

    async def expose(self, name: str, ports: Sequence[int], logs: Path, *, affinity: bool = False) -> str:
        """Create the Service of a part; returns its address, which stays the same however often the part restarts."""
        service = manifests.service(_as_part(name), ports, affinity=affinity)
        created = await self.namespace.create(service, logs)
        self._addresses[name] = str(created["spec"]["clusterIP"])
        if self._tunnels:
            find = partial(self.watch.find_pod, manifests.PART, _as_part(name))
            self._tunnelled |= {(name, port): await self._tunnels.open(find, port) for port in ports}
        return self._addresses[name]

    async def close_tunnels(self) -> None:
        """Close the tunnels to all parts."""
        self._tunnelled.clear()
        if self._tunnels:
            await self._tunnels.close()

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        """Start a part in a pod of its own. The files in its working directory are there in the pod as well.

        Raises:
            EnvironmentLacksError: the cluster does not start it.
        """
        if fds:
            raise ValueError("a pod inherits no descriptors")
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        name = _as_part(f"{spec.name}-{next(self._numbers)}")
        files = await self._create_files(name, spec)
        program = "python" if spec.argv[0] == sys.executable else Path(spec.argv[0]).name
        template = PodTemplate(
            _as_part(spec.name),
            self.image,
            (*(_COPY_FILES if files else ()), program, *spec.argv[1:]),
            spec.port or 0,
            grace_s=_GRACE_S,
            limits=spec.limits,
            folder=str(spec.cwd.resolve()) if spec.cwd else "",
            files=files,
            volume=await self._claim(spec),
            user=_NOBODY if spec.role == "store" else None,
            restarts=False,
        )
        await self.namespace.create(manifests.pod(name, template), spec.log.parent)
        return self.adopt(spec, await self.wait_until_running(name))

    async def _claim(self, spec: ProcessSpec) -> str:
        """The claim that keeps a part's working directory, which is created at its first start; empty if none does."""
        name = _as_part(spec.cwd.name) if spec.cwd and spec.durable else ""
        if name and not self.namespace.has(CLAIM, name):
            await self.namespace.create(manifests.claim(name), spec.log.parent)
        return name

    async def _create_files(self, name: str, spec: ProcessSpec) -> str:
        paths = [path for path in spec.cwd.iterdir() if path.is_file()] if spec.cwd else []
        if not paths:
            return ""
        await self.namespace.create(
            manifests.config(name, {path.name: path.read_text() for path in paths}), spec.log.parent
        )
        return name

    async def send_file(self, child: Child, file: Path) -> None:
        """Replace a file of a pod's working directory.

        Raises:
            EnvironmentLacksError: the pod is gone, or does not answer.
        """
        pod = next(adopted.pod for adopted in self._adopted.values() if adopted.child is child)
        argv = (*_REPLACE_FILE, str(file.resolve()), file.read_text())  # noqa: ASYNC240 - a few kilobytes
        await self.namespace.api.run_in_pod(pod.name, self.namespace.name, argv)

    async def wait_until_running(self, name: str) -> PodState:
        """Wait until the container of a pod runs, or has run.

        Raises:
            EnvironmentLacksError: it does not start in time, or never will; the message says why.
        """

        def settled() -> bool:
            pod = self.watch.pods.get(name)
            return pod is not None and (pod.running or pod.exit is not None or pod.hopeless)

        started = await self.watch.until(settled, _START_TIMEOUT_S)
        pod = self.watch.pods.get(name)
        if not started or pod is None or pod.hopeless:
            raise await self.start_error(name)
        return pod

    async def start_error(self, name: str) -> EnvironmentLacksError:
        """Why a pod does not start, in one line, and what to do about it."""
        pod = self.watch.pods.get(name)
        why = pod.waits_for if pod else ""
        if not why:
            events = await self.namespace.api.read_all(EVENT, self.namespace.name, fields=f"involvedObject.name={name}")
            why = next(
                (event["message"] for event in reversed(events) if event.get("type") == "Warning"),
                "no reason is reported",
            )
        why = " ".join(why.split())
        if pod and pod.hopeless:
            return EnvironmentLacksError(f"the cluster has no image {self.image}: {why}", self.image_hint)
        hint = _CLAIM_HINT if "PersistentVolumeClaim" in why else "kubectl describe nodes shows what is free"
        return EnvironmentLacksError(f"the pod {name} does not start: {why}", hint)

    def times(self, uid: str) -> PodTimes:
        """When what happened to a pod, in seconds of CLOCK_MONOTONIC."""
        reported = self.logs.sigterms.get(uid)
        sigterm = None if reported is None else reported - time.time() + time.monotonic()
        return replace(self.watch.times[uid], sigterm=sigterm)

    def adopt(self, spec: ProcessSpec, pod: PodState, journal: Path | None = None) -> Child:
        """Make the container that runs in a pod a child, and follow its log."""
        number = next(self._numbers)
        child = Child(self, number, spec, find_process(pod.container) or 0, own_pid=1)
        self._adopted[number] = _Adopted(child, pod)
        self.logs.follow(pod, spec.log, journal)
        if not pod.running:
            self._end(self._adopted[number], pod)
        return child

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        """Delete a child's pod for SIGTERM and SIGKILL, each with its grace; SIGHUP is sent from inside the pod.

        After SIGKILL it is deleted without grace if it has not ended in time.
        """
        adopted = self._adopted[child]
        if number == signal.SIGHUP:
            await self.namespace.api.run_in_pod(adopted.pod.name, self.namespace.name, _RELOAD)
            return True
        if number not in (signal.SIGKILL, signal.SIGTERM):
            return False
        adopted.killed = number == signal.SIGKILL
        pod, namespace = adopted.pod, self.namespace
        found = await namespace.api.delete(POD, pod.name, namespace.name, uid=pod.uid)
        if found and adopted.killed and not await self.watch.until(lambda: not adopted.child.alive, _ENDS_WITHIN_S):
            # Its node is lost. Otherwise grace is needed: without any, a pod is gone before its container has ended.
            await namespace.api.delete(POD, pod.name, namespace.name, grace_s=0, uid=pod.uid)
        if not found:
            self._end(adopted, pod)
        return found

    def state(self, child: Child) -> str:
        """Return ``X`` if its container has ended, else ``S``."""
        return "S" if child.alive else "X"

    def _on_pod(self, pod: PodState, gone: bool) -> None:
        for adopted in self._adopted.values():
            ours = adopted.pod.uid == pod.uid and adopted.child.alive
            if ours and (gone or pod.container != adopted.pod.container):
                self._end(adopted, pod)

    def _end(self, adopted: _Adopted, pod: PodState) -> None:
        child, code = adopted.child, pod.exit or 0
        code = _SIGNAL_EXIT_CODE - code if code > _SIGNAL_EXIT_CODE else code
        child.mark_ended(-signal.SIGKILL if adopted.killed else code)
        if not child.end_expected and not self.watch.pods.get(pod.name, pod).deleted:
            self.deaths.put_nowait(Death(child.name, child.role, code, child.log))


def _as_part(name: str) -> str:
    """The name of a part as Kubernetes accepts it."""
    return name.replace("_", "-")
