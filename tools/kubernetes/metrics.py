"""The API of resource metrics: metrics-server asks the kubelets, and the API server passes questions on to it.

A HorizontalPodAutoscaler needs it. Without it, there are no figures of the CPU that a pod uses.
"""

from tools.kubernetes import programs
from tools.kubernetes.control_plane import Component
from tools.kubernetes.layout import Layout, Node
from tools.kubernetes.volumes import Kubectl

API = "metrics.k8s.io"
VERSION = "v1beta1"
_PORT = 10252
_RESOLUTION_S = 10  # between two questions to a kubelet; it accepts no less


def metrics_component(layout: Layout, node: Node) -> Component:
    """metrics-server, which only the API server reaches: it listens on the loopback of node 1."""
    kubeconfig = layout.home / "inside.kubeconfig"
    return Component(
        programs.METRICS_SERVER,
        [
            *[str(programs.CACHE / programs.METRICS_SERVER), f"--kubeconfig={kubeconfig}"],
            *[f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}"],
            *["--bind-address=127.0.0.1", f"--secure-port={_PORT}", f"--cert-dir={layout.home / 'metrics'}"],
            *["--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP"],
            *[f"--metric-resolution={_RESOLUTION_S}s", f"--kubelet-request-timeout={_RESOLUTION_S // 2}s"],
        ],
        node,
    )


def declare_api(kubectl: Kubectl) -> None:
    """Have the API server pass the questions on."""
    where = {"name": programs.METRICS_SERVER, "namespace": "kube-system"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": where,
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{VERSION}.{API}"},
        "spec": {
            **{"group": API, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100},
            "service": {**where, "port": _PORT},
            "insecureSkipTLSVerify": True,  # its certificate is its own; the connection never leaves the loopback
        },
    }
    kubectl("apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": [service, api]})
