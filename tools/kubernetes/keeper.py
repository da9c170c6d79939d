"""The first process of the cluster's own namespaces: starts every program, and waits.

Processes, mounts, interfaces, routes and packet filters of the cluster live in namespaces of its own. When this
process ends, whatever ends it, the kernel removes all of them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tools.kubernetes import metrics, programs, volumes
from tools.kubernetes.control_plane import Component, controller_components, server_components, write_secrets
from tools.kubernetes.images import PAUSE, write_image
from tools.kubernetes.layout import API_PORT, HOST, Layout, Node
from tools.kubernetes.node import make_cgroup, node_components, write_configuration

#: Folders with fixed names that the programs share with others on this machine: each gets an empty one.
PRIVATE = ("/run/netns", "/run/containerd", "/var/lib/kubelet", "/var/lib/cni")
_PROVIDE_EVERY_S = 1.5  # a tenth of a second of CPU time each


class Keeper:
    """Brings the cluster up inside its namespaces, and ends with the first program that ends."""

    def __init__(self, layout: Layout, count: int) -> None:
        self._layout, self._nodes = layout, layout.nodes(count)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._networks: dict[int, int] = {}  # node number: pid of a process in its network

    def run(self) -> None:
        """Bring everything up, report that it is ready, and wait until a program ends."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        _isolate_mounts()
        self._connect()
        token = write_secrets(self._layout)
        first = self._nodes[0]
        self._layout.write_kubeconfig(
            self._layout.home / "inside.kubeconfig", f"https://{first.address}:{API_PORT}", token
        )
        self._start(server_components(self._layout, first))
        self._wait_for("the API server", lambda: self._kubectl("get", "--raw", "/readyz") == "ok")
        metrics.declare_api(self._kubectl)
        self._start([*controller_components(self._layout, first), metrics.metrics_component(self._layout, first)])
        self._start_nodes()
        self._wait_for("its nodes", self._nodes_ready)
        self._wait_for(
            "the metrics API", lambda: self._kubectl("get", "--raw", f"/apis/{metrics.API}/{metrics.VERSION}")
        )
        volumes.declare_class(self._kubectl)
        self._layout.write_kubeconfig(self._layout.kubeconfig, f"https://127.0.0.1:{API_PORT}", token)
        self._wait(volumes.Provisioner(self._kubectl, self._layout.home / "volumes"))

    def _connect(self) -> None:
        """Give every node its network, with routes between them and to the machine."""
        self._wait_for("its link to the machine", lambda: "eth0" in [name for _, name in socket.if_nameindex()])
        _ip("link set lo up", f"addr add {self._nodes[0].address}/24 dev eth0", "link set eth0 up")
        _ip(f"route add default via {HOST}")
        _set_up_network([])
        for node in self._nodes[1:]:
            self._networks[node.number] = self._make_network()
            gateway = node.address.removesuffix(".2") + ".1"
            _ip(
                f"link add {node.name} type veth peer name eth0 netns {self._networks[node.number]}",
                *[f"addr add {gateway}/24 dev {node.name}", f"link set {node.name} up"],
                f"route add {node.pods} via {node.address}",
            )
            inside = self._enter(node)
            _ip(
                *["link set lo up", f"addr add {node.address}/24 dev eth0", "link set eth0 up"],
                f"route add default via {gateway}",
                enter=inside,
            )
            _set_up_network(inside)

    def _make_network(self) -> int:
        """The pid of a process in a new network."""
        own = Path("/proc/self/ns/net").readlink()
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._wait_for("a network", lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own)
        return holder.pid

    def _start_nodes(self) -> None:
        pause = self._layout.home / "pause.tar"
        _build_pause(self._layout.home, pause)
        for node in self._nodes:
            write_configuration(node)
            make_cgroup(node)
            containerd, *others = node_components(self._layout, node)
            self._start([containerd])
            self._wait_for(f"containerd of {node.name}", partial(_import_image, node, pause))
            self._start(others)

    def _start(self, components: Iterable[Component]) -> None:
        """Start programs, each with a log of its own, in the network of its node."""
        for component in components:
            log = self._layout.logs / f"{component.name.replace('/', '-')}.log"
            with log.open("wb") as output:
                self._running[component.name] = subprocess.Popen(
                    [*self._enter(component.node), *component.command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self._layout.home,
                )
        pids = {name: process.pid for name, process in self._running.items()}
        (self._layout.home / "components.json").write_text(json.dumps(pids))

    def _enter(self, node: Node) -> list[str]:
        """How a command gets into a node's network. (``ip netns exec`` would hide the control groups.)"""
        holder = self._networks.get(node.number)
        return ["nsenter", f"--net=/proc/{holder}/ns/net"] if holder else []

    def _wait_for(self, what: str, reached: Callable[[], object], timeout: float = 90) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            self._check()
            if time.monotonic() > deadline:
                sys.exit(f"{what} did not come up in {timeout:g} s; see the logs in {self._layout.logs}")
            time.sleep(0.2)

    def _wait(self, provisioner: volumes.Provisioner) -> None:
        while True:
            self._check()
            provisioner.provide()
            time.sleep(_PROVIDE_EVERY_S)

    def _check(self) -> None:
        """End with the first program that ended. Reaps the children of others, as a first process must."""
        for name, process in self._running.items():
            if process.poll() is not None:
                log = self._layout.logs / f"{name.replace('/', '-')}.log"
                sys.exit(f"{name} ended with code {process.returncode}; see {log}")
        _reap_orphans({process.pid for process in self._running.values()} | set(self._networks.values()))

    def _nodes_ready(self) -> bool:
        nodes = json.loads(self._kubectl("get", "nodes", "-o", "json") or "{}").get("items", [])
        ready = [
            node["metadata"]["name"]
            for node in nodes
            if {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items()
        ]
        return len(ready) == len(self._nodes)

    def _kubectl(self, *arguments: str, manifest: object = None) -> str:
        """What kubectl prints; empty if it fails."""
        command = [str(programs.CACHE / "kubectl"), f"--kubeconfig={self._layout.home / 'inside.kubeconfig'}"]
        done = subprocess.run(
            [*command, "--request-timeout=5s", *arguments],
            input=json.dumps(manifest) if manifest is not None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""


def _isolate_mounts() -> None:
    """Let mounts of the cluster spread among its own processes only, and hide what others keep in fixed places."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    for folder in PRIVATE:
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "cluster", folder], check=True)


def _set_up_network(enter: list[str]) -> None:
    """Forward packets between pods, let the packet filter see those of the bridge, and let connections end soon.

    A connection that a killed process has left keeps its network alive while the kernel tries to close it: by default
    for minutes.
    """
    for setting in (
        *("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"),
        *("net.ipv4.tcp_orphan_retries=1", "net.ipv4.tcp_fin_timeout=2"),
    ):
        subprocess.run([*enter, "sysctl", "-q", "-w", setting], check=True)


def _ip(*commands: str, enter: Iterable[str] = ()) -> None:
    for command in commands:
        subprocess.run([*enter, "ip", *command.split()], check=True)


def _build_pause(home: Path, archive: Path) -> None:
    program = home / "pause"
    source = Path(__file__).parent / "pause.c"
    subprocess.run(["gcc", "-static", "-Os", "-o", str(program), str(source)], check=True)
    write_image(PAUSE, program, archive)


def _import_image(node: Node, archive: Path) -> bool:
    command = ["ctr", "--address", str(node.socket), "--namespace", "k8s.io", "images", "import", str(archive)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _reap_orphans(own: set[int]) -> None:
    """Collect ended processes that were left to this one, without those whose codes are still wanted."""
    children = Path("/proc/self/task") / str(os.getpid()) / "children"
    for pid in map(int, children.read_text().split()):
        if pid not in own:
            os.waitpid(pid, os.WNOHANG)
