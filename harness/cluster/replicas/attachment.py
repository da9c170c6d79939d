"""Where a workload is found that the harness did not make, and the Service that leads to its pods."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import DEPLOYMENT, POD, SERVICE, STATEFUL_SET, Manifest
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.rights import NAME, TO_ASK, Right, missing_rights, needed_rights
from harness.cluster.replicas.probes import HealthProbe, ReadinessProbe, address_of
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario.kubernetes import Kubernetes

KINDS = {"deployment": DEPLOYMENT, "statefulset": STATEFUL_SET}
#: How to go on where a controller does not replace all pods.
_UNHOLD = {
    "deployment": "kubectl rollout resume lets it, or a Kill(0) needs no rollout",
    "statefulset": "RollingUpdate without a partition lets it, or a Kill(0) needs no rollout",
}
#: The expressions of a selector, as the API server takes them.
_OPERATORS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}
_NOT_FROM_PODS = (502, 503, 504)  # by which the API server says that it cannot connect, if they are its own


@dataclass(frozen=True)
class Attachment:
    """A workload as it was found, its Service, and the address for the load."""

    workload: Manifest
    service: Manifest
    port: Manifest  # of the Service
    url: str

    @property
    def namespace(self) -> str:
        """Where both are."""
        return str(self.workload["metadata"]["namespace"])

    @property
    def replicas(self) -> int:
        """How many pods the workload wants."""
        return int(self.workload["spec"].get("replicas", 1))

    @property
    def selector(self) -> str:
        """The labels of its pods, as the API server takes them."""
        selector = self.workload["spec"]["selector"]
        requirements = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
        for each in selector.get("matchExpressions", ()):
            values = ",".join(each.get("values", ()))
            requirements.append(_OPERATORS[each["operator"]].format(key=each["key"], values=values))
        return ",".join(requirements)

    def owns(self, pod: PodState) -> bool:
        """Whether a pod is its own: a Deployment has its pods through ReplicaSets, whose names end in a hash."""
        name, template = self.workload["metadata"]["name"], pod.labels.get("pod-template-hash")
        return pod.owner in (f"StatefulSet/{name}", f"ReplicaSet/{name}-{template}")

    @property
    def pod_port(self) -> int:
        """Where its pods listen."""
        wanted = self.port.get("targetPort", self.port["port"])
        if isinstance(wanted, int):
            return wanted
        ports = [
            port
            for container in self.workload["spec"]["template"]["spec"]["containers"]
            for port in container.get("ports", ())
        ]
        return next((int(port["containerPort"]) for port in ports if port.get("name") == wanted), 0)


def held_back(workload: Manifest) -> str:
    """Why its controller leaves some pods of an old template as they are; empty if it replaces all of them."""
    spec = workload["spec"]
    strategy = spec.get("updateStrategy", {})
    if spec.get("paused"):
        return "it is paused"
    if strategy.get("type") == "OnDelete":
        return "its strategy is OnDelete"
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    return f"its strategy has the partition {partition}" if partition else ""


@dataclass(frozen=True)
class ServiceProbe:
    """Asks a Service through the API server, whose address this machine may not reach."""

    api: KubernetesApi
    attachment: Attachment
    path: str | None

    async def problem(self, host: str, port: int) -> str:
        """It has to answer ``path`` with 200 to 399 or, without a path, at all."""
        found, path = self.attachment, self.path or "/"
        name = found.service["metadata"]["name"]
        status = await self.api.ask_service(name, found.port["port"], found.namespace, path)
        if status is None:
            return "does not answer"
        if status in _NOT_FROM_PODS:
            return f"does not answer, or with {status}"
        return "" if self.path is None or 200 <= status < 400 else f"answers GET {path} with {status}"


def readiness(api: KubernetesApi, target: Kubernetes, attachment: Attachment, *, forwarded: bool) -> HealthProbe:
    """Asks the Service whether it is ready: at its address or, if ``forwarded``, through the API server."""
    return ServiceProbe(api, attachment, target.ready) if forwarded else ReadinessProbe(target.ready)


async def find_attachment(api: KubernetesApi, target: Kubernetes, *, forwarded: bool = False) -> Attachment:
    """Find the workload and its Service, with the address for the load; nothing is changed.

    That is ``url``, that of the Service's load balancer, or the Service's own. If the API server has ``forwarded`` what
    the harness asks, the load comes from inside the cluster, and always goes to the Service's own.

    Raises:
        UsageError: several Services or ports are possible, or none, or the Service has no address.
        EnvironmentLacksError: there is no such workload, or no permission to look.
    """
    namespace = target.namespace or api.namespace
    workload = await api.get(KINDS[target.kind], target.name, namespace)
    if workload is None:
        raise EnvironmentLacksError(
            f"there is no {target.workload} in the namespace {namespace} of {api.context}",
            f"kubectl get {target.kind}s --all-namespaces",
        )
    service = _choose_service(target, workload, await api.read_all(SERVICE, namespace))
    port = _choose_port(target, service)
    outside = [] if forwarded else service.get("status", {}).get("loadBalancer", {}).get("ingress")
    host = next((each.get("ip") or each.get("hostname") for each in outside or ()), service["spec"].get("clusterIP"))
    if host in (None, "", "None") and target.url is None:
        raise UsageError(
            f"the Service {service['metadata']['name']} is headless: it has no address of its own",
            'another service="NAME" in front of the same pods, or url="http://..."',
        )
    address = f"[{host}]" if ":" in str(host) else host  # of IPv6
    return Attachment(workload, service, port, target.url or f"http://{address}:{port['port']}")


def _choose_service(target: Kubernetes, workload: Manifest, services: Sequence[Manifest]) -> Manifest:
    labels = workload["spec"]["template"]["metadata"].get("labels", {})
    leading = {
        service["metadata"]["name"]: service
        for service in services
        if (selector := service["spec"].get("selector"))
        and selector.items() <= labels.items()
        and service["spec"].get("type") != "ExternalName"
    }
    if target.service is not None:
        if target.service not in leading:
            raise UsageError(
                f"the Service {target.service} does not lead to the pods of {target.workload}",
                f"these do: {', '.join(leading) or 'none'}",
            )
        return leading[target.service]
    with_address = {name: found for name, found in leading.items() if found["spec"].get("clusterIP") != "None"}
    if len(with_address) != 1:
        found = ", ".join(with_address) or "none"
        raise UsageError(f"one Service has to lead to {target.workload}; found: {found}", 'service="NAME" chooses one')
    return next(iter(with_address.values()))


def _choose_port(target: Kubernetes, service: Manifest) -> Manifest:
    offered = [port for port in service["spec"].get("ports", ()) if port.get("protocol", "TCP") == "TCP"]
    if not offered:
        raise UsageError(f"the Service {service['metadata']['name']} has no TCP port", 'service="NAME" chooses another')
    ports: Sequence[Manifest] = [port for port in offered if target.port in (None, port["port"])]
    if len(ports) != 1:
        has = ", ".join(str(port["port"]) for port in offered)
        hint = f"port={offered[0]['port']} chooses one, as --service-port does"
        raise UsageError(f"the Service {service['metadata']['name']} has the ports {has}", hint)
    return ports[0]


async def find_others(api: KubernetesApi, attachment: Attachment) -> Sequence[str]:
    """The pods of others that the Service leads to as well: the load goes there, too, but no fault."""
    selector = ",".join(f"{key}={value}" for key, value in attachment.service["spec"]["selector"].items())
    pods = map(PodState.of, await api.read_all(POD, attachment.namespace, labels=selector))
    return [pod.name for pod in pods if not attachment.owns(pod) and not pod.over]


async def require_usable(
    api: KubernetesApi, target: Kubernetes, attachment: Attachment, faults: Sequence[str], *, forwarded: bool = False
) -> None:
    """Check, before anything is done, that the service answers and that faults of these kinds are permitted.

    Raises:
        UsageError: the workload would not do what a fault asks of it.
        EnvironmentLacksError: it does not answer, it has no pods, or a right is missing.
    """
    rights = [*needed_rights(target.kind, faults), *(TO_ASK if forwarded else ())]
    await _require_rights(api, target, attachment, rights)
    if attachment.replicas == 0:
        hint = f"kubectl -n {attachment.namespace} scale {target.workload} --replicas=2"
        raise EnvironmentLacksError(f"{target.workload} has no pods: its number of replicas is 0", hint)
    if "rolling_restart" in faults and (reason := held_back(attachment.workload)):
        raise UsageError(
            f"a RollingRestart would not replace all pods of {target.workload}: {reason}", _UNHOLD[target.kind]
        )
    probe = readiness(api, target, attachment, forwarded=forwarded)
    if problem := await probe.problem(*address_of(attachment.url)):
        raise EnvironmentLacksError(
            f"{attachment.url} {problem}", _hint_for(problem, target, attachment, forwarded=forwarded)
        )


async def _require_rights(
    api: KubernetesApi, target: Kubernetes, attachment: Attachment, rights: Sequence[Right]
) -> None:
    """Check that what a run asks of the API server is permitted, for the objects that it means."""
    workloads, namespace = KINDS[target.kind].plural, attachment.namespace
    asked = f"{attachment.service['metadata']['name']}:{attachment.port['port']}"  # a name, to the API server
    names = {workloads: target.name, f"{workloads}/scale": target.name, "services/proxy": asked}
    if missing := await missing_rights(api, rights, namespace, names):
        proxy = f"--verb=get --resource=services/proxy --resource-name={asked}"
        hints = ["harness doctor --kubernetes"] * any(right not in TO_ASK for right in missing)
        hints += [f"kubectl -n {namespace} create role {NAME}-ask {proxy}"] * any(right in TO_ASK for right in missing)
        wanted = ", ".join(f"{right.verb} {right.resource}" for right in missing)
        raise EnvironmentLacksError(f"no permission in {namespace}: {wanted}", "; ".join(hints))


def _hint_for(problem: str, target: Kubernetes, attachment: Attachment, *, forwarded: bool) -> str:
    """What helps a Service that is not ready."""
    if "GET" in problem:
        return 'ready="/healthz" names another path, as --ready does'
    if not attachment.workload.get("status", {}).get("readyReplicas"):
        return f"no pod is ready: kubectl -n {attachment.namespace} rollout status {target.workload}"
    if forwarded:
        return f"kubectl -n {attachment.namespace} describe service {attachment.service['metadata']['name']}"
    return 'url="http://..." names an address that this machine reaches; --load-inside 1 needs none'
