"""A kubeconfig that says nothing useful is a missing cluster, in one line, and no defect."""

from pathlib import Path

import pytest

from harness.cluster.kubernetes.api import connect_api
from harness.common.errors import EnvironmentLacksError
from tests.support.fake_cluster import FakeCluster, serve_cluster

EMPTY = "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n"


@pytest.mark.parametrize("content", ["", "text", "a: [b\n", EMPTY, "\x00"])
async def test_what_is_no_kubeconfig_is_said(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(EnvironmentLacksError) as lack:
        await connect_api()
    assert "no Kubernetes cluster is configured" in lack.value.message and "\n" not in lack.value.message
    assert lack.value.hint


async def test_another_kubeconfig_counts_after_one_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong").write_text("a: b")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "wrong"))
    with pytest.raises(EnvironmentLacksError) as lack:
        await connect_api()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "right"))
    async with serve_cluster(FakeCluster(), tmp_path / "right"):
        assert (await connect_api()).context == "fake"
    assert lack.traceback, "the connection that failed was still in memory"
