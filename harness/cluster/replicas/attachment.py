"""Where a workload is found that the harness did not make, and the Service that leads to its pods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import DEPLOYMENT, SERVICE, STATEFUL_SET, Manifest
from harness.cluster.kubernetes.rights import missing_rights, needed_rights
from harness.cluster.replicas.probes import ReadinessProbe, address_of
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario.kubernetes import Kubernetes

KINDS = {"deployment": DEPLOYMENT, "statefulset": STATEFUL_SET}


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
        labels: Mapping[str, str] = self.workload["spec"]["selector"].get("matchLabels", {})
        return ",".join(f"{name}={value}" for name, value in labels.items())

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


async def find_attachment(api: KubernetesApi, target: Kubernetes) -> Attachment:
    """Find the workload and its Service, with the address of its load balancer or else its own; nothing is changed.

    Raises:
        UsageError: several Services or ports are possible, or none.
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
    outside = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    host = outside[0].get("ip") or outside[0].get("hostname") or service["spec"]["clusterIP"]
    return Attachment(workload, service, port, target.url or f"http://{host}:{port['port']}")


def _choose_service(target: Kubernetes, workload: Manifest, services: Sequence[Manifest]) -> Manifest:
    labels = workload["spec"]["template"]["metadata"].get("labels", {})
    leading = {
        service["metadata"]["name"]: service
        for service in services
        if (selector := service["spec"].get("selector")) and selector.items() <= labels.items()
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
    ports = [port for port in service["spec"]["ports"] if target.port in (None, port["port"])]
    if len(ports) != 1:
        has = ", ".join(str(port["port"]) for port in service["spec"]["ports"])
        raise UsageError(f"the Service {service['metadata']['name']} has the ports {has}", "port=80 chooses one")
    chosen: Manifest = ports[0]
    return chosen


async def require_usable(api: KubernetesApi, target: Kubernetes, attachment: Attachment, faults: Sequence[str]) -> None:
    """Check, before anything is done, that the service answers here and that faults of these kinds are permitted.

    Raises:
        EnvironmentLacksError: it does not answer, or a right is missing.
    """
    rights = needed_rights(target.kind, faults)
    if missing := await missing_rights(api, rights, attachment.namespace):
        wanted = ", ".join(f"{right.verb} {right.resource}" for right in missing)
        raise EnvironmentLacksError(f"no permission in {attachment.namespace}: {wanted}", "harness doctor --kubernetes")
    problem = await ReadinessProbe(target.ready).problem(*address_of(attachment.url))
    if problem:
        raise EnvironmentLacksError(
            f"{attachment.url} {problem}",
            'url="http://..." names an address that this machine reaches, as of an ingress',
        )
