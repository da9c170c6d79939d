"""One node: containerd, the kubelet and kube-proxy, with their configuration."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from tools.kubernetes import programs
from tools.kubernetes.control_plane import Component
from tools.kubernetes.images import PAUSE
from tools.kubernetes.layout import PODS, Layout, Node

CGROUPS = Path("/sys/fs/cgroup")


def node_components(layout: Layout, node: Node) -> Iterator[Component]:
    """The node's programs, containerd first; they read what ``write_configuration`` has written."""
    kubeconfig = f"--kubeconfig={layout.home / 'inside.kubeconfig'}"
    name = f"--hostname-override={node.name}"
    yield Component(f"{node.name}/containerd", ["containerd", "--config", str(node.home / "containerd.toml")], node)
    yield Component(
        f"{node.name}/kubelet",
        [
            *[str(programs.CACHE / "kubelet"), f"--config={node.home / 'kubelet.json'}", kubeconfig, name],
            *[f"--root-dir={node.home / 'kubelet'}", f"--node-ip={node.address}"],
        ],
        node,
    )
    yield Component(
        f"{node.name}/kube-proxy",
        [
            *[str(programs.CACHE / "kube-proxy"), kubeconfig, name, "--proxy-mode=iptables"],
            *[f"--cluster-cidr={PODS}", "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0"],
            "--conntrack-tcp-timeout-close-wait=0",
        ],
        node,
    )


def write_configuration(node: Node) -> None:
    """Write the files that the node's programs read."""
    node.home.mkdir(parents=True, exist_ok=True)
    _write_network(node)
    _write_containerd(node)
    _write_kubelet(node)


def _write_network(node: Node) -> None:
    """The network of pods: a bridge, and the ports that pods ask for on the node."""
    plugins = [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(node.home / "addresses"),
                "ranges": [[{"subnet": node.pods}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    folder = node.home / "cni"
    folder.mkdir(exist_ok=True)
    conflist = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
    (folder / "10-pods.conflist").write_text(json.dumps(conflist))


def _write_containerd(node: Node) -> None:
    """Containerd with folders and a socket of its own.

    ``restrict_oom_score_adj``: runc fails where the score may not be lowered, as in some containers.
    """
    (node.home / "containerd.toml").write_text(
        f"""version = 2
root = "{node.home / "containerd"}"
state = "{node.home / "run"}"
[grpc]
address = "{node.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{node.home / "cni"}"
"""
    )


def _write_kubelet(node: Node) -> None:
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup,
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "nodeLeaseDurationSeconds": 12,
        "podLogsDir": str(node.home / "pod-logs"),
        "volumePluginDir": str(node.home / "volume-plugins"),
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
    }
    (node.home / "kubelet.json").write_text(json.dumps(config))


def make_cgroup(node: Node) -> None:
    """The node's control group in every hierarchy (version 1) or in the only one (version 2)."""
    for hierarchy in hierarchies():
        group = hierarchy / node.cgroup.removeprefix("/")
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists() and not (hierarchy / "cgroup.controllers").exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def remove_cgroup(node: Node) -> None:
    """Remove what is left of the node's control groups, once the kernel has ended all processes in them."""
    for hierarchy in hierarchies():
        group = hierarchy / node.cgroup.removeprefix("/")
        for folder in sorted(group.glob("**/"), reverse=True):
            for _ in range(50):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.1)


def hierarchies() -> list[Path]:
    """The mounted hierarchies of control groups."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists() and not path.is_symlink()]
