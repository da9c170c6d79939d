"""Where a cluster keeps its files, and which addresses it uses."""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from tools.kubernetes import programs

HOST = "10.88.0.1"  # the machine's end of the link to node 1
API_PORT = 6443
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
LINK = "harness-k8s0"  # the machine's end of the link, the only interface outside the cluster's namespaces


@dataclass(frozen=True)
class Node:
    """One node: number 1 also carries the control plane."""

    number: int
    home: Path

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """Where its kubelet listens."""
        return "10.88.0.2" if self.number == 1 else "10.88.1.2"

    @property
    def pods(self) -> str:
        """The network of its pods."""
        return f"10.244.{self.number - 1}.0/24"

    @property
    def cgroup(self) -> str:
        """Its part of the machine's control groups; no two clusters share one."""
        return f"/harness-{zlib.crc32(str(self.home).encode()):08x}-{self.name}"

    @property
    def socket(self) -> Path:
        """Where its containerd listens."""
        return self.home / "containerd.sock"


@dataclass(frozen=True)
class Layout:
    """The files of a cluster below its folder."""

    home: Path

    @classmethod
    def default(cls) -> "Layout":
        """In the user's cache."""
        return cls(Path(os.environ.get("HARNESS_CLUSTER") or programs.CACHE.parent / "cluster"))

    @property
    def kubeconfig(self) -> Path:
        """How to reach the cluster from this machine."""
        return self.home / "kubeconfig"

    @property
    def state(self) -> Path:
        """The guardian's pid and what it started; absent if nothing runs."""
        return self.home / "state.json"

    @property
    def logs(self) -> Path:
        """One file per program."""
        return self.home / "logs"

    def nodes(self, count: int) -> list[Node]:
        """The first ``count`` nodes."""
        return [Node(number, self.home / f"node{number}") for number in range(1, count + 1)]

    def write_kubeconfig(self, path: Path, server: str, token: str) -> None:
        """Write how an administrator reaches the API server, verified by the certificate that it made itself."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "harness-cluster",
            "clusters": [
                {
                    "name": "harness-cluster",
                    "cluster": {
                        "server": server,
                        "tls-server-name": "localhost",
                        "certificate-authority": str(self.home / "pki" / "apiserver.crt"),
                    },
                }
            ],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "harness-cluster", "context": {"cluster": "harness-cluster", "user": "admin"}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))
