"""The namespace of a run: what is created in it is kept as manifests, and everything ends with it."""

from pathlib import Path

import pytest
import yaml

from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import NAMESPACE
from harness.cluster.kubernetes.run_namespace import MANIFESTS, OWNER, RUN, open_namespace
from harness.cluster.kubernetes.sweep import sweep
from harness.common.errors import EnvironmentLacksError
from tests.support.fake_cluster import FakeCluster


async def test_it_carries_its_run_and_its_owner_and_is_gone_afterwards(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    async with open_namespace(api, "mine", "20260101T000000Z-abc") as namespace:
        assert cluster.names("namespaces") == [namespace.name] == ["mine-20260101t000000z-abc"]
        metadata = cluster.objects["namespaces", "", namespace.name]["metadata"]
        assert metadata["labels"] == {RUN: "20260101T000000Z-abc"} and metadata["annotations"][OWNER]
    assert cluster.names("namespaces") == []


async def test_it_is_gone_even_if_the_run_fails(api: KubernetesApi, cluster: FakeCluster) -> None:
    with pytest.raises(RuntimeError):
        async with open_namespace(api, "mine", "x"):
            raise RuntimeError
    assert cluster.names("namespaces") == []


async def test_manifests_are_kept_without_secrets(api: KubernetesApi, cluster: FakeCluster, tmp_path: Path) -> None:
    async with open_namespace(api, "mine", "x") as namespace:
        await namespace.create(manifests.secret("hush"), tmp_path)
        await namespace.create(manifests.service("shop", [8080], affinity=True), tmp_path)
        assert cluster.objects["secrets", "mine-x", "harness"]["stringData"] == {"secret": "hush"}
        kept = (tmp_path / MANIFESTS).read_text()
        secret, service = yaml.safe_load_all(kept)
        assert "hush" not in kept and secret["kind"] == "Secret"
        assert service == manifests.service("shop", [8080], affinity=True)
        assert service["spec"]["sessionAffinity"] == "ClientIP"


async def test_clearing_deletes_what_was_created_and_nothing_else(
    api: KubernetesApi, cluster: FakeCluster, tmp_path: Path
) -> None:
    async with open_namespace(api, "mine", "x") as namespace:
        cluster.put(("services", "mine-x", "other"), {"metadata": {"name": "other"}})
        await namespace.create(manifests.service("shop", [8080]), tmp_path)
        await namespace.clear()
        assert cluster.names("services") == ["other"]


async def test_a_refused_namespace_is_reported(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.refuse["namespaces"] = (403, 'namespaces is forbidden: User "guest" cannot create resource "namespaces"')
    with pytest.raises(EnvironmentLacksError, match="no permission: namespaces is forbidden"):
        async with open_namespace(api, "mine", "x"):
            pass


async def test_a_sweep_removes_only_what_an_ended_harness_owns(api: KubernetesApi) -> None:
    for name, annotations in (("dead", {OWNER: "ended"}), ("alive", {OWNER: "runs"}), ("foreign", {})):
        await api.create(NAMESPACE, manifests.namespace(name, {RUN: "1"}, annotations))
    await api.create(NAMESPACE, manifests.namespace("plain", {}, {OWNER: "ended"}))
    swept = await sweep(api, lambda owner: owner == "ended")
    assert (swept.removed, swept.problem) == ([("namespace", "dead")], None)
    left = [item["metadata"]["name"] for item in await api.read_all(NAMESPACE)]
    assert sorted(left) == ["alive", "foreign", "plain"]
