"""The control plane: etcd, the API server, the controllers and the scheduler, as command lines."""

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tools.kubernetes import programs
from tools.kubernetes.layout import API_PORT, PODS, SERVICES, Layout, Node


@dataclass(frozen=True)
class Component:
    """A program of the cluster. ``node`` is the one in whose network it runs."""

    name: str
    command: list[str]
    node: Node


def write_secrets(layout: Layout) -> str:
    """Create the administrator's token, the key of service accounts, and the certificate by which the API server
    identifies itself to what answers for it (metrics-server); returns the token.
    """
    pki = layout.home / "pki"
    pki.mkdir(mode=0o700, exist_ok=True)
    token = secrets.token_hex(16)
    (pki / "tokens.csv").touch(mode=0o600)
    (pki / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    for command in (
        ["genrsa", "-out", str(pki / "accounts.key"), "2048"],
        [
            *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=aggregator"],
            *["-keyout", str(pki / "aggregator.key"), "-out", str(pki / "aggregator.crt")],
        ],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return token


def server_components(layout: Layout, node: Node) -> Iterator[Component]:
    """The store and the API server, which start first."""
    home = layout.home
    yield Component(
        "etcd",
        [
            *["etcd", f"--data-dir={home / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn"],
            *["--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"],
            "--listen-peer-urls=http://127.0.0.1:2380",
        ],
        node,
    )
    pki = home / "pki"
    yield Component(
        "kube-apiserver",
        [
            *[str(programs.CACHE / "kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", f"--cert-dir={pki}"],
            *["--bind-address=0.0.0.0", f"--advertise-address={node.address}", f"--secure-port={API_PORT}"],
            *["--authorization-mode=Node,RBAC", f"--token-auth-file={pki / 'tokens.csv'}", "--allow-privileged=true"],
            *[f"--service-cluster-ip-range={SERVICES}", "--service-account-issuer=https://kubernetes.default.svc"],
            "--kubelet-preferred-address-types=InternalIP",  # no name server knows the nodes by name
            f"--service-account-key-file={pki / 'accounts.key'}",
            f"--service-account-signing-key-file={pki / 'accounts.key'}",
            *[
                f"--proxy-client-cert-file={pki / 'aggregator.crt'}",
                f"--proxy-client-key-file={pki / 'aggregator.key'}",
            ],
            f"--requestheader-client-ca-file={pki / 'aggregator.crt'}",
            *["--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"],
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        ],
        node,
    )


def controller_components(layout: Layout, node: Node) -> Iterator[Component]:
    """The controllers and the scheduler.

    A node counts as lost after 12 s without a sign of life, and autoscalers look every second. The defaults of 50 s
    and 15 s would only lengthen tests.
    """
    kubeconfig = f"--kubeconfig={layout.home / 'inside.kubeconfig'}"
    yield Component(
        "kube-controller-manager",
        [
            *[str(programs.CACHE / "kube-controller-manager"), kubeconfig, "--leader-elect=false"],
            *["--allocate-node-cidrs=false", f"--cluster-cidr={PODS}", "--node-monitor-grace-period=12s"],
            f"--service-account-private-key-file={layout.home / 'pki' / 'accounts.key'}",
            "--horizontal-pod-autoscaler-sync-period=1s",
        ],
        node,
    )
    yield Component(
        "kube-scheduler", [str(programs.CACHE / "kube-scheduler"), kubeconfig, "--leader-elect=false"], node
    )
