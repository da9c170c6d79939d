"""Load processes as pods: what they get, and how the harness reaches them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.load_pods import LoadPods
from harness.cluster.kubernetes.pod_watch import watch_pods
from harness.cluster.kubernetes.run_namespace import MANIFESTS, open_namespace
from harness.cluster.supervisor import ProcessSpec
from harness.common.errors import EnvironmentLacksError
from tests.support.fake_cluster import FakeCluster, Manifest, ready, waiting
from tests.unit.cluster.kubernetes.conftest import no_processes

VARIABLE = "CHANNEL"
TOKEN = "a-secret-token"


@asynccontextmanager
async def load_pods(api: KubernetesApi) -> AsyncIterator[LoadPods]:
    async with (
        open_namespace(api, "mine", "x") as namespace,
        watch_pods(namespace) as watch,
    ):
        yield LoadPods(namespace, watch, no_processes(), "locust:1")


def spec(folder: Path, port: int) -> ProcessSpec:
    (folder / "users").mkdir()
    (folder / "users" / "users.py").write_text("# the users")
    environment = {f"{VARIABLE}_PORT": str(port), "PLAIN": "shown"}
    argv, log = ("python", "-m", "locust", "-f", "users.py"), folder / "driver.log"
    return ProcessSpec("load", "driver", argv, log, environment, folder / "users", secrets={"TOKEN": TOKEN})


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def greeting(port: int, delay_s: float = 0.0) -> AsyncIterator[None]:
    """A load process that, after a delay, greets each client, and repeats what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\n")
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def listen() -> None:
        await asyncio.sleep(delay_s)
        servers.append(await asyncio.start_server(serve, "127.0.0.1", port))

    servers: list[asyncio.Server] = []
    listening = asyncio.create_task(listen())
    yield
    await listening
    servers[0].close()


def container(cluster: FakeCluster) -> Manifest:
    (pod,) = [item for (kind, _, _), item in cluster.objects.items() if kind == "pods"]
    only: Manifest = pod["spec"]["containers"][0]
    return only


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
async def test_bytes_go_both_ways_once_the_process_listens(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path, delay_s: float
) -> None:
    port, sent = free_port(), bytes(range(256)) * 1000
    async with load_pods(api) as pods, greeting(port, delay_s):
        child, channel = await pods.spawn_with_channel(spec(tmp_path, port), VARIABLE)
        reader, writer = await asyncio.open_connection(sock=channel)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        assert child.alive and pods.address("load") == "127.0.0.1"
        writer.close()
        assert await reader.read() == b""


async def test_a_pod_gets_its_files_and_its_secrets_which_no_manifest_shows(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    async with load_pods(api) as pods:
        await pods.spawn(spec(tmp_path, 1))
        variables = {variable["name"]: variable for variable in container(cluster)["env"]}
        assert variables["PLAIN"]["value"] == "shown"
        named = variables["TOKEN"]["valueFrom"]["secretKeyRef"]["name"]
        (kept,) = [item for (kind, _, name), item in cluster.objects.items() if (kind, name) == ("secrets", named)]
        assert kept["stringData"] == {"secret": TOKEN} and TOKEN not in (tmp_path / MANIFESTS).read_text()
        (files,) = [item for (kind, _, _), item in cluster.objects.items() if kind == "configmaps"]
        assert files["data"] == {"users.py": "# the users"}
        assert container(cluster)["image"] == "locust:1"


async def test_pods_are_spread_over_the_nodes(api: KubernetesApi, cluster: FakeCluster, tmp_path: Path) -> None:
    async with load_pods(api) as pods:
        await pods.spawn(spec(tmp_path, 1))
        (pod,) = [item for (kind, _, _), item in cluster.objects.items() if kind == "pods"]
        (constraint,) = pod["spec"]["topologySpreadConstraints"]
        assert constraint["topologyKey"] == "kubernetes.io/hostname"
        assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


async def test_a_missing_image_is_named_with_the_line_that_makes_it(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.pod_status = waiting("ErrImagePull", "no such image")
    async with load_pods(api) as pods:
        with pytest.raises(EnvironmentLacksError, match="no image locust:1") as lack:
            await pods.spawn(spec(tmp_path, 1))
    assert "--load-image" in lack.value.hint


async def test_a_right_that_is_missing_is_named(api: KubernetesApi, cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.refuse["pods/portforward"] = (403, "forbidden")
    async with load_pods(api) as pods:
        with pytest.raises(EnvironmentLacksError, match="status 403") as lack:
            await pods.spawn_with_channel(spec(tmp_path, 1), VARIABLE)
    assert "pods/portforward" in lack.value.hint


async def test_the_channel_of_a_process_that_has_ended_is_closed_and_its_log_is_there(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    def ended(pod: Manifest) -> Manifest:
        status = ready(pod)
        status["containerStatuses"][0] |= {"state": {"terminated": {"exitCode": 1}}, "containerID": ""}
        return status

    cluster.pod_status = ended
    cluster.logs["load-1"] = ["2026-01-01T00:00:00.000000000Z SyntaxError: users.py"]
    async with load_pods(api) as pods:
        child, channel = await pods.spawn_with_channel(spec(tmp_path, free_port()), VARIABLE)
        assert await asyncio.get_running_loop().sock_recv(channel, 1) == b""
        assert await child.wait() == 1 and "SyntaxError" in child.log_tail()
        channel.close()
