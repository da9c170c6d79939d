"""``tools/cluster``: pods run on both nodes, and nothing of it survives the death of the process that guards it."""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.common.waiting import wait_until
from tests.support.cluster import TOOL, require_programs
from tools.kubernetes import programs
from tools.kubernetes.images import PAUSE
from tools.kubernetes.layout import LINK, Layout

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.alone]

SPREAD = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "pause"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "pause"}},
        "template": {
            "metadata": {"labels": {"app": "pause"}},
            "spec": {
                "containers": [{"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}],
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app": "pause"}},
                    }
                ],
            },
        },
    },
}


@dataclass(frozen=True)
class Machine:
    """A network of its own, in which a cluster does not meet another one, and the folder of that cluster."""

    holder: int  # the pid of a process in that network
    layout: Layout

    def run(self, *command: str, given: object = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", f"--net=/proc/{self.holder}/ns/net", *command],
            input=json.dumps(given) if given else None,
            capture_output=True,
            text=True,
            env={**os.environ, "HARNESS_CLUSTER": str(self.layout.home)},
            check=False,
        )

    def kubectl(self, *words: str, given: object = None) -> str:
        program = str(programs.CACHE / "kubectl")
        done = self.run(program, f"--kubeconfig={self.layout.kubeconfig}", *words, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout


def soon(holds: Callable[[], bool]) -> bool:
    return asyncio.run(wait_until(holds, 30.0, 0.1))


@pytest.fixture
def machine() -> Iterator[Machine]:
    require_programs()
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = Path("/proc/self/ns/net").readlink()
    assert soon(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own)
    with tempfile.TemporaryDirectory(prefix="k8s-") as home:  # short: sockets lie below it
        made = Machine(holder.pid, Layout(Path(home) / "c"))
        made.run("ip", "link", "set", "lo", "up")
        yield made
        made.run(TOOL, "down")
    holder.kill()
    holder.wait()


def members(namespace: Path) -> list[int]:
    """The processes in a pid namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "pid").readlink() == namespace:
                found.append(int(process.name))
        except OSError:  # it has just ended
            continue
    return found


def control_groups(layout: Layout) -> list[Path]:
    return [path for node in layout.nodes(2) for path in Path("/sys/fs/cgroup").glob(f"*{node.cgroup}")]


def test_pods_run_on_both_nodes_and_nothing_survives_the_guardian(machine: Machine) -> None:
    up = machine.run(TOOL, "up", "--nodes", "2", "--owner", str(os.getpid()))
    assert up.returncode == 0, up.stderr
    machine.kubectl("apply", "-f", "-", given=SPREAD)
    machine.kubectl("rollout", "status", "deployment/pause", "--timeout=90s")
    pods = json.loads(machine.kubectl("get", "pods", "-o", "json"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node1", "node2"}

    state = json.loads(machine.layout.state.read_text())
    namespace = Path(f"/proc/{state['keeper']}/ns/pid").readlink()
    assert len(members(namespace)) > 10
    os.kill(state["guardian"], signal.SIGKILL)
    assert soon(lambda: members(namespace) == [])
    assert soon(lambda: machine.run("ip", "link", "show", LINK).returncode != 0)
    assert str(machine.layout.home) not in Path("/proc/mounts").read_text()
    assert machine.run(TOOL, "status").returncode == 3
    machine.run(TOOL, "down")
    assert control_groups(machine.layout) == []
