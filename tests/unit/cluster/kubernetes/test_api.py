"""The API server: what is asked of it, and what its refusals become."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.kubernetes.api import ApiUnreachableError, KubernetesApi, connect_api, require_allowed
from harness.cluster.kubernetes.kinds import DEPLOYMENT, NAMESPACE, POD
from harness.common.errors import EnvironmentLacksError, UsageError
from tests.support.fake_cluster import FakeCluster, serve_cluster


def pod(name: str) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "labels": {"a": "b"}}}


async def test_what_is_created_is_read_listed_changed_and_deleted(api: KubernetesApi, cluster: FakeCluster) -> None:
    created = await api.create(POD, pod("one"), "here")
    assert created["metadata"]["uid"]
    assert await api.get(POD, "one", "here") == created
    assert [item["metadata"]["name"] for item in await api.read_all(POD, "here", "a=b")] == ["one"]
    changed = await api.patch(POD, "one", {"spec": {"x": 1}}, "here")
    assert changed["spec"] == {"x": 1}
    assert await api.delete(POD, "one", "here", grace_s=0, uid=created["metadata"]["uid"])
    assert cluster.deletions[-1][1]["gracePeriodSeconds"] == 0
    assert await api.get(POD, "one", "here") is None
    assert not await api.delete(POD, "one", "here")


async def test_an_api_is_offered_if_something_answers_for_it(api: KubernetesApi, cluster: FakeCluster) -> None:
    assert await api.offers("metrics.k8s.io", "v1beta1")
    cluster.metrics = False
    assert not await api.offers("metrics.k8s.io", "v1beta1")


async def test_another_object_of_the_same_name_is_not_deleted(api: KubernetesApi, cluster: FakeCluster) -> None:
    await api.create(POD, pod("one"), "here")
    assert not await api.delete(POD, "one", "here", uid="another")
    assert cluster.names("pods") == ["one"]


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (403, 'deployments is forbidden: User "guest" cannot create', "no permission: deployments is forbidden"),
        (403, "forbidden: exceeded quota: small, requested: pods=1", "no Deployment shop: forbidden: exceeded quota"),
        (422, "spec.replicas: Invalid value: -1", "the API server refuses Deployment shop: spec.replicas"),
        (401, "Unauthorized", "does not accept the credentials"),
    ],
)
async def test_a_refusal_is_one_line_with_a_remedy(
    api: KubernetesApi, cluster: FakeCluster, status: int, message: str, says: str
) -> None:
    cluster.refuse["deployments"] = (status, message)
    with pytest.raises(EnvironmentLacksError, match=says) as refused:
        await api.create(DEPLOYMENT, {"metadata": {"name": "shop"}}, "here")
    assert refused.value.hint and "\n" not in refused.value.message


async def test_changes_are_followed_across_a_watch_that_breaks_off(api: KubernetesApi, cluster: FakeCluster) -> None:
    key = ("pods", "here", "one")
    cluster.put(key, pod("one"))
    async with aclosing(api.follow(POD, "here")) as changes:
        assert (await anext(changes))[0] == "ADDED"
        waiting = asyncio.ensure_future(anext(changes))
        await cluster.watched("pods")
        cluster.put(key, pod("one"))
        assert (await waiting)[0] == "MODIFIED"
        cluster.break_watches()
        assert (await anext(changes))[0] == "MODIFIED"  # from the new list


async def test_what_vanished_while_the_server_was_away_is_deleted(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.put(("pods", "here", "one"), pod("one"))
    async with aclosing(api.follow(POD, "here")) as changes:
        assert (await anext(changes))[0] == "ADDED"
        cluster.down = True
        waiting = asyncio.ensure_future(anext(changes))
        await cluster.cuts(2)
        cluster.objects.clear()
        cluster.down = False
        change, item = await waiting
        assert (change, item["metadata"]["name"]) == ("DELETED", "one")


async def test_a_server_that_does_not_answer_is_named(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.down = True
    with pytest.raises(ApiUnreachableError, match="the API server of fake does not answer"):
        await api.get(NAMESPACE, "default")


async def test_a_server_that_is_away_for_a_moment_is_asked_again(api: KubernetesApi, cluster: FakeCluster) -> None:
    api.patience_s = 60.0
    cluster.lose_replies = 1
    created = await api.create(POD, pod("one"), "here")
    assert created["metadata"]["name"] == "one" and cluster.names("pods") == ["one"]
    with pytest.raises(EnvironmentLacksError, match="already exists"):
        await api.create(POD, pod("one"), "here")


async def test_another_machine_needs_permission_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    async with serve_cluster(FakeCluster(), tmp_path / "kubeconfig", host="127.0.0.1"):
        here = await connect_api()
    require_allowed(here, ())
    here._api.auth.server = "https://prod.example.com:6443"
    with pytest.raises(UsageError, match=r"fake leads to https://prod\.example\.com") as refused:
        require_allowed(here, ("other",))
    assert "--allow-context fake" in refused.value.hint
    require_allowed(here, ("fake",))


async def test_a_context_that_the_kubeconfig_lacks_is_a_usage_error(cluster: FakeCluster) -> None:
    with pytest.raises(UsageError, match="no context 'prod'"):
        await connect_api("prod")


async def test_no_kubeconfig_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(EnvironmentLacksError, match="no Kubernetes cluster is configured") as lack:
        await connect_api()
    assert "KUBECONFIG" in lack.value.hint


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_a_service_is_asked_by_the_server(status: int, api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.proxied["shop:80/healthz"] = status
    assert await api.ask_service("shop", 80, "prod", "/healthz") == status
