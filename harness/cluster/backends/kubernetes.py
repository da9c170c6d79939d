"""The Kubernetes backend: a Deployment or a StatefulSet for the replicas, and pods for the balancer and the store."""

from pathlib import Path

from harness.cluster import balancers
from harness.cluster.backends.deployment import Deployment
from harness.cluster.backends.process import ProcessBackend
from harness.cluster.balancers.launch import control_port
from harness.cluster.capabilities import Balancer, Store
from harness.cluster.kubernetes import manifests, service
from harness.cluster.kubernetes.endpoint_follower import EndpointFollower
from harness.cluster.kubernetes.kinds import STATEFUL_SET
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.load_pods import LoadPods
from harness.cluster.kubernetes.manifests import VOLUME, PodTemplate
from harness.cluster.replicas.builtin import TargetSettings
from harness.cluster.replicas.pod import PodSettings
from harness.cluster.replicas.pod_autoscaler import PodAutoscaler
from harness.cluster.replicas.probes import NonceProbe
from harness.cluster.replicas.workload import PodWorkload, start_workload
from harness.cluster.stores import store_of
from harness.cluster.supervisor import Supervisor
from harness.cluster.topology import Topology
from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.scenario.services import BuiltIn, OwnService, Url

PORT = 8080
_MAX_NAME = 40  # the names of pods and their labels get suffixes
_JOURNAL = Path("/dev/stdout")  # pods share no directory: the journal is read from their logs


class _TargetInPod(TargetSettings):
    """The settings of a target whose volume is that of its pod."""

    def volume(self, name: str) -> Path:
        """Return the directory at which the pod's volume is mounted."""
        return Path(VOLUME)


class KubernetesBackend(ProcessBackend):
    """Brings topologies up, one after another, in the namespace of one run."""

    _supervisor: KubernetesSupervisor

    def __init__(self, supervisor: KubernetesSupervisor, load: LoadPods, nonce: str, secret: str) -> None:
        super().__init__(supervisor, nonce, secret)
        self._load = load
        self._forwards = supervisor.forwards

    @property
    def inside(self) -> Supervisor:
        """What starts a load in pods of the run's namespace."""
        return self._load

    async def _deploy(self, deployment: Deployment) -> Topology:
        supervisor = self._supervisor
        if not isinstance(deployment.design.target, Url):
            deployment.scope.push_async_callback(supervisor.logs.drain)
            deployment.scope.push_async_callback(supervisor.namespace.clear)
            deployment.scope.push_async_callback(supervisor.close_tunnels)
            await supervisor.namespace.create(manifests.secret(self._secret), deployment.logs)
        return await super()._deploy(deployment)

    async def _deploy_own(self, deployment: Deployment, target: OwnService, store: Store | None) -> Topology:
        raise UsageError(f"{deployment.design.name} is not a built-in service", "--backend docker, or process")

    async def _deploy_builtin(self, deployment: Deployment, target: BuiltIn, store: Store | None) -> Topology:
        design, supervisor = deployment.design, self._supervisor
        template = self._template(deployment, target, store)
        pinned = design.balancing.name == service.NAME and design.balancing.policy == "source"
        address = await supervisor.expose(template.part, [PORT], deployment.logs, affinity=pinned)
        settings = PodSettings(PORT, self._nonce, template.grace_s, deployment.logs, deployment.journal)
        workload = await deployment.scope.enter_async_context(
            start_workload(supervisor, template, settings, deployment.names)
        )
        balancer: Balancer
        if design.balancing.name == service.NAME:
            balancer = service.ServiceBalancer(f"http://{address}:{PORT}", template.part, supervisor.watch)
        else:
            balancer = await self._start_following_balancer(deployment, workload)
        sampler, probe = await self._start_sampler(deployment), NonceProbe(self._nonce)
        by_cpu = target.capacity is None  # emulated slots take no CPU
        return Topology(
            design,
            probe,
            workload.replicas,
            balancer,
            store,
            deployment.journal,
            sampler,
            start_another=workload.grow,
            workload=workload,
            front=supervisor.reach(template.part if balancer.name == service.NAME else balancer.name, PORT),
            autoscaler=PodAutoscaler(supervisor.namespace, workload, deployment.logs) if by_cpu else None,
        )

    def _template(self, deployment: Deployment, target: BuiltIn, store: Store | None) -> PodTemplate:
        """The pod of a replica: the target's command line, with what only the cluster knows as variables."""
        design, supervisor = deployment.design, self._supervisor
        settings = _TargetInPod(
            target,
            design.limits,
            self._nonce,
            "$(HARNESS_SECRET)",
            _JOURNAL,
            store.url if store else None,
            self._home,
            Path(VOLUME),
            {},
            supervisor.listen,
        )
        return PodTemplate(
            f"{design.name.lower().replace('_', '-')[:_MAX_NAME]}-app",
            supervisor.image,
            ("python", *settings.argv("$(POD_NAME)", PORT)[1:]),
            PORT,
            ready="/healthz",
            grace_s=round(parse_seconds(design.termination.grace)),
            pre_stop_s=round(parse_seconds(design.termination.pre_stop)),
            limits=design.limits,
            folder=VOLUME,
            claim=target.on_disk,
        )

    async def _start_store(self, deployment: Deployment) -> Store | None:
        store = store_of(deployment.design)
        if store is None:
            return None
        started = store(self._supervisor, deployment.logs)
        for server in started.servers:
            await self._supervisor.expose(server.name, server.ports, deployment.logs)
        return await deployment.scope.enter_async_context(started)

    async def _start_following_balancer(self, deployment: Deployment, workload: PodWorkload) -> Balancer:
        """A balancer in a pod, whose members are the endpoints of the workload's Service."""
        name, supervisor = balancers.select(deployment.design.balancing).name, self._supervisor
        host = await supervisor.expose(name, [PORT, control_port(PORT)], deployment.logs)
        balancer = await deployment.scope.enter_async_context(
            balancers.start(
                deployment.design.balancing,
                [replica.member for replica in workload.replicas],
                supervisor,
                scratch=self._make_folder(deployment, "balancer"),
                logs=deployment.logs,
                port=PORT,
                host=host,
            )
        )
        stable = workload.kind is STATEFUL_SET  # its pods come back under their own names
        wait = stable and not deployment.design.balancing.redispatch
        follower = EndpointFollower(balancer, supervisor.watch, workload.part, PORT, wait=wait)
        members = {replica.member.name for replica in workload.replicas}
        await deployment.scope.enter_async_context(follower.following(members))
        return balancer
