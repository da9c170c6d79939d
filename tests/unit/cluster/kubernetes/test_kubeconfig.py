"""Which cluster, namespace and credentials a kubeconfig means; one that says nothing useful is no defect."""

import asyncio
import base64
import datetime
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from harness.cluster.kubernetes.api import KubernetesApi, connect_api
from harness.cluster.kubernetes.kubeconfig import NoClusterError
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


ONE = """
current-context: dev
clusters: [{name: here, cluster: {server: SERVER}}]
users: [{name: me, user: {token: secret}}]
contexts:
- {name: dev, context: {cluster: here, user: me, namespace: dev-ns}}
- {name: prod, context: {cluster: here, user: me, namespace: prod-ns}}
- {name: plain, context: {cluster: here, user: me}}
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an API server, which no kubeconfig of the environment names."""
    async with serve_cluster(FakeCluster(), tmp_path / "own"):
        yield yaml.safe_load((tmp_path / "own").read_text())["clusters"][0]["cluster"]["server"]


def configure(monkeypatch: pytest.MonkeyPatch, *files: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))


@pytest.mark.parametrize(
    ("context", "namespace"), [(None, "dev-ns"), ("dev", "dev-ns"), ("prod", "prod-ns"), ("plain", "default")]
)
async def test_the_namespace_is_that_of_the_context_that_was_asked_for(
    context: str | None, namespace: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text(ONE.replace("SERVER", server))
    configure(monkeypatch, tmp_path / "one")
    api = await connect_api(context)
    assert (api.context, api.namespace, api.server) == (context or "dev", namespace, server)


@pytest.mark.parametrize("context", [None, "dev", "prod"])
async def test_several_files_are_merged_as_kubectl_does(
    context: str | None, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("contexts: [{name: prod, context: {cluster: here, user: me, namespace: first}}]\nusers:\n")
    two.write_text(ONE.replace("SERVER", server))
    configure(monkeypatch, tmp_path / "missing", one, two)
    api = await connect_api(context)
    assert api.namespace == ("first" if context == "prod" else "dev-ns"), "the first entry of a name counts"


async def test_a_context_is_found_without_a_current_one(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text(ONE.replace("SERVER", server).replace("current-context: dev", "current-context: ''"))
    configure(monkeypatch, tmp_path / "one")
    assert (await connect_api("prod")).namespace == "prod-ns"
    with pytest.raises(NoClusterError, match="has no current context"):
        await connect_api()


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (
            "{exec: {apiVersion: v1, command: sh, args: [-c, 'echo the session has expired >&2; exit 255']}}",
            "has expired",
        ),
        ("{exec: {apiVersion: v1, command: sh, args: [-c, echo nothing useful]}}", "dev cannot be read"),
        ("{exec: {apiVersion: v1, command: no-such-plug-in}}", "no-such-plug-in"),
        ("{tokenFile: gone}", "tokenFile of the context dev is missing"),
        ("{client-key: gone, client-certificate: gone}", "client-certificate of the context dev is missing"),
        ("{client-key-data: bm9uZQ==, client-certificate-data: bm9uZQ==}", "credentials of dev cannot be read"),
    ],
)
async def test_credentials_that_cannot_be_read_are_named(
    user: str, reason: str, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text(ONE.replace("SERVER", server).replace("{token: secret}", user))
    configure(monkeypatch, tmp_path / "one")
    for context in (None, "dev"):
        with pytest.raises(EnvironmentLacksError) as lack:
            await connect_api(context)
        assert reason in lack.value.message and "\n" not in lack.value.message and lack.value.hint


async def test_a_token_file_and_a_plug_in_are_found_beside_their_kubeconfig(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    (tmp_path / "plug-in").write_text('#!/bin/sh\necho \'{"status": {"token": "from-a-plug-in"}}\'\n')
    (tmp_path / "plug-in").chmod(0o700)
    configure(monkeypatch, tmp_path / "one")
    for user, token in (
        ("tokenFile: token", "from-a-file"),
        ("exec: {apiVersion: v1, command: ./plug-in}", "from-a-plug-in"),
    ):
        (tmp_path / "one").write_text(ONE.replace("SERVER", server).replace("token: secret", user))
        assert (await connect_api())._api.auth.token == token


async def test_no_copy_of_a_key_stays_on_the_disk(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = (base64.b64encode(part).decode() for part in self_signed())
    user = f"{{client-key-data: {key}, client-certificate-data: {certificate}}}"
    (tmp_path / "one").write_text(
        ONE.replace("SERVER", f"{server}, certificate-authority-data: {certificate}").replace("{token: secret}", user)
    )
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    configure(monkeypatch, tmp_path / "one")
    api = await connect_api()
    await asyncio.gather(*(renew(api) for _ in range(3)))  # as when several requests are refused at once
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (await api.version()).startswith("v1.")


async def renew(api: KubernetesApi) -> None:
    await api._api.reauthenticate()
    await api._api._create_session()


def self_signed() -> tuple[bytes, bytes]:
    """A key and its certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, built.sign(key, SHA256()).public_bytes(Encoding.PEM)
