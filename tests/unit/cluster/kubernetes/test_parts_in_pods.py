"""Balancers and stores in pods of their own: what they start with, and how they get orders."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.capabilities import Member, NoSuchMemberError
from harness.cluster.kubernetes import kubernetes_supervisor
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.endpoint_follower import EndpointFollower
from harness.cluster.kubernetes.kubernetes_supervisor import KubernetesSupervisor
from harness.cluster.kubernetes.pod_watch import PodWatch
from harness.cluster.replicas.probes import probe
from harness.cluster.supervisor import Child, ProcessSpec
from harness.common.errors import EnvironmentLacksError, UntrustedError
from harness.common.waiting import wait_until
from tests.support.fake_cluster import FakeCluster
from tests.unit.cluster.kubernetes.test_workload import supervised


async def spawned(supervisor: KubernetesSupervisor, cluster: FakeCluster, folder: Path) -> Child:
    await cluster.watched("pods")
    folder.mkdir()  # noqa: ASYNC240 - of a test
    (folder / "nginx.conf").write_text("worker_processes 1;")
    spec = ProcessSpec("nginx", "balancer", ("/opt/nginx", "-c", "nginx.conf"), folder / "log", cwd=folder, port=8080)
    return await supervisor.spawn(spec)


def only(cluster: FakeCluster, plural: str) -> dict[str, Any]:
    (found,) = [item for (kind, *_), item in cluster.objects.items() if kind == plural]
    return found


async def test_a_part_starts_in_a_directory_with_its_files_which_it_can_change(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    async with supervised(api) as supervisor:
        await spawned(supervisor, cluster, tmp_path / "nginx")
        assert only(cluster, "configmaps")["data"] == {"nginx.conf": "worker_processes 1;"}
        spec = only(cluster, "pods")["spec"]
        (container,) = spec["containers"]
        assert container["workingDir"] == str(tmp_path / "nginx") and container["command"][-3:] == [
            "nginx",
            "-c",
            "nginx.conf",
        ]
        kinds = {volume["name"]: next(key for key in volume if key != "name") for volume in spec["volumes"]}
        assert kinds == {"folder": "emptyDir", "files": "configMap"}


async def test_a_file_reaches_a_pod_and_is_read_again_by_a_signal(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    async with supervised(api) as supervisor:
        child, file = await spawned(supervisor, cluster, tmp_path / "nginx"), tmp_path / "nginx" / "nginx.conf"
        file.write_text("worker_processes 2;\n# 100 % & more\n")
        await supervisor.send_file(child, file)
        assert await child.signal(signal.SIGHUP)
        (sent, write), (reloaded, reload) = cluster.commands
        assert sent == reloaded == only(cluster, "pods")["metadata"]["name"]
        assert write[-2:] == [str(file), "worker_processes 2;\n# 100 % & more\n"] and "HUP" in reload[-1]
        assert child.alive


async def test_a_command_that_fails_in_a_pod_says_why(api: KubernetesApi, cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.command_fails = "no space left on device"
    async with supervised(api) as supervisor:
        child = await spawned(supervisor, cluster, tmp_path / "nginx")
        with pytest.raises(EnvironmentLacksError, match="no space left on device"):
            await supervisor.send_file(child, tmp_path / "nginx" / "nginx.conf")


async def test_a_pod_that_is_gone_takes_no_file(api: KubernetesApi, cluster: FakeCluster, tmp_path: Path) -> None:
    async with supervised(api) as supervisor:
        child = await spawned(supervisor, cluster, tmp_path / "nginx")
        await child.kill()
        with pytest.raises(EnvironmentLacksError, match="there is no pod"):
            await supervisor.send_file(child, tmp_path / "nginx" / "nginx.conf")


async def test_a_part_is_reached_at_its_service_or_through_the_server_at_the_pod_that_runs_now(
    api: KubernetesApi, cluster: FakeCluster, port: int, tmp_path: Path
) -> None:
    async with supervised(api) as direct:
        host = await direct.expose("nginx", [port], tmp_path)
        assert direct.reach("nginx", port) == (host, port)
    async with supervised(api, forwarded=True) as supervisor:
        await supervisor.expose("nginx", [port], tmp_path)
        reached = supervisor.reach("nginx", port)
        assert reached[0] == "127.0.0.1" and await probe(*reached) is None, "there is no pod yet"
        for number in range(2):
            child = await spawned(supervisor, cluster, tmp_path / str(number))
            assert await probe(*reached)
            await child.kill()
        assert len({*cluster.forwarded}) == 2


async def test_a_part_that_is_killed_ends_with_grace_and_without_any_if_its_node_is_lost(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_supervisor, "_ENDS_WITHIN_S", 0.05)
    async with supervised(api) as supervisor:
        assert await (await spawned(supervisor, cluster, tmp_path / "first")).kill()
        assert [options.get("gracePeriodSeconds") for _, options in cluster.deletions] == [None]
        cluster.node_lost = True
        assert await (await spawned(supervisor, cluster, tmp_path / "second")).kill()
        assert [options.get("gracePeriodSeconds") for _, options in cluster.deletions] == [None, None, 0]
        assert supervisor.deaths.empty()


async def test_what_a_durable_part_keeps_is_on_a_claim_that_its_next_pod_mounts(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "nats_0-4222"
    folder.mkdir()
    spec = ProcessSpec("nats_0", "store", ("nats-server",), tmp_path / "log", cwd=folder, port=4222, durable=True)
    async with supervised(api) as supervisor:
        await cluster.watched("pods")
        assert await supervisor.expose("nats_0", (4222, 8222), tmp_path) == supervisor.address("nats_0", "store")
        await (await supervisor.spawn(spec)).kill()
        await supervisor.spawn(spec)
        assert cluster.names("persistentvolumeclaims") == ["nats-0-4222"]
        spec_of_pod = only(cluster, "pods")["spec"]
        assert {"name": "folder", "persistentVolumeClaim": {"claimName": "nats-0-4222"}} in spec_of_pod["volumes"]
        assert spec_of_pod["securityContext"] == {"runAsUser": 65534, "fsGroup": 65534}
        assert [port["port"] for port in only(cluster, "services")["spec"]["ports"]] == [4222, 8222]


class Members:
    """A balancer that may be down, and from which members can be taken by others."""

    name, url, pid = "members", "http://127.0.0.1:1", None

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.down = False

    async def add(self, member: Member) -> None:
        if self.down:
            raise UntrustedError("it does not answer", "wait")
        self.names.add(member.name)

    async def remove(self, name: str) -> None:
        if name not in self.names:
            raise NoSuchMemberError(f"no member {name}", "is it there?")
        self.names.remove(name)

    async def drain(self, name: str) -> None:
        """Nothing to do."""

    async def states(self) -> Mapping[str, str]:
        return dict.fromkeys(self.names, "up")

    def refusals(self) -> tuple[()]:
        return ()


def report(watch: PodWatch, *pods: str) -> None:
    endpoints = [
        {"addresses": ["127.0.0.1"], "targetRef": {"name": pod}, "conditions": {"ready": True}} for pod in pods
    ]
    labels = {"kubernetes.io/service-name": "app"}
    watch.take_slice("MODIFIED", {"metadata": {"name": "app-1", "labels": labels}, "endpoints": endpoints})


async def test_members_follow_the_endpoints_although_a_fault_has_removed_one_and_the_balancer_was_away() -> None:
    watch, balancer = PodWatch(), Members("a", "b")
    report(watch, "a", "b")
    async with EndpointFollower(balancer, watch, "app", 8080).following({"a", "b"}):
        await balancer.remove("a")
        balancer.down = True
        report(watch, "b", "c")
        await asyncio.sleep(0)
        balancer.down = False
        assert await wait_until(lambda: balancer.names == {"b", "c"}, 10.0, 0.005)
        report(watch, "c", "d")
        assert await wait_until(lambda: balancer.names == {"c", "d"}, 10.0, 0.005)
