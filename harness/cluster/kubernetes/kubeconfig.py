"""The kubeconfig: which context, cluster and user are meant, by the rules of kubectl, and their credentials.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

import asyncio
import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kr8s._auth import KubeAuth  # the class that authenticates, which kr8s does not export

from harness.cluster.kubernetes import POD_ACCOUNT, find_kubeconfigs
from harness.common.errors import EnvironmentLacksError, UsageError

SETUP = "set KUBECONFIG or --context; see docs/kubernetes.md"
Entry = Mapping[str, Any]
#: Settings of a cluster or a user that name a file, relative to their kubeconfig.
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
#: Settings that hold a file's content instead, and what kr8s calls the file into which it writes it.
_COPIES = {
    "client-key-data": "client_key_file",
    "client-certificate-data": "client_cert_file",
    "certificate-authority-data": "server_ca_file",
}
_NAMESPACE = POD_ACCOUNT / "namespace"


class NoClusterError(EnvironmentLacksError):
    """No cluster is configured."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no Kubernetes cluster is configured: {reason}", SETUP)


@dataclass(frozen=True)
class Kubeconfig:
    """One context, with its cluster and its user."""

    context: str
    namespace: str
    cluster: Entry
    user: Entry

    def __post_init__(self) -> None:
        for settings in (self.cluster, self.user):
            for key in _FILES:
                if key in settings and not Path(settings[key]).is_file():
                    raise EnvironmentLacksError(
                        f"{key} of the context {self.context} is missing: {settings[key]}", SETUP
                    )

    @classmethod
    def read(cls, context: str | None = None) -> "Kubeconfig | None":
        """Read the files of ``KUBECONFIG``, or ``~/.kube/config``; None if there is none of them.

        The first file that has an entry of a name, or a current context, counts.

        Raises:
            UsageError: there is no such context.
            NoClusterError: a file is no kubeconfig, or its context leads nowhere.
            EnvironmentLacksError: a file that the entries name is missing.
        """
        paths = find_kubeconfigs()
        if not paths:
            return None
        named = os.pathsep.join(map(str, paths))
        files = [_KubeconfigFile.read(path) for path in paths]
        name = context or next((file.current for file in files if file.current), "")
        chosen = _find(files, "context", name)
        if chosen is None and context is not None:
            raise UsageError(f"the kubeconfig has no context {context!r}", "kubectl config get-contexts")
        if chosen is None:
            raise NoClusterError(f"{named} has no current context" if not name else f"{named} has no context {name}")
        cluster = _find(files, "cluster", str(chosen.get("cluster", "")))
        if cluster is None or not cluster.get("server"):
            raise NoClusterError(f"the context {name} of {named} names no cluster with a server")
        user = _find(files, "user", str(chosen.get("user", ""))) or {}
        return cls(name, str(chosen.get("namespace") or "default"), cluster, user)

    def authentication(self) -> "Authentication":
        """Its credentials, not looked at yet."""
        return Authentication(
            kubeconfig={
                "clusters": [{"name": self.context, "cluster": dict(self.cluster)}],
                "users": [{"name": self.context, "user": dict(self.user)}],
                "contexts": [{"name": self.context, "context": {"cluster": self.context, "user": self.context}}],
            },
            context=self.context,
            namespace=self.namespace,
        )


@dataclass(frozen=True)
class _KubeconfigFile:
    """One file: its current context, and its entries with the paths of their files made absolute."""

    path: Path
    current: str
    entries: Mapping[str, Sequence[Entry]]  # by ``context``, ``cluster`` and ``user``

    @classmethod
    def read(cls, path: Path) -> "_KubeconfigFile":
        """Read a file.

        Raises:
            NoClusterError: it cannot be read, or is no kubeconfig.
        """
        try:
            content = yaml.safe_load(path.read_text()) or {}
            entries = {kind: list(content.get(f"{kind}s") or ()) for kind in ("context", "cluster", "user")}
            return cls(path, str(content.get("current-context") or ""), entries)
        except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError) as problem:
            raise NoClusterError(f"{path} is no kubeconfig: {' '.join(str(problem).split())}") from problem

    def find(self, kind: str, name: str) -> Entry | None:
        """The settings of an entry."""
        for entry in self.entries[kind]:
            if isinstance(entry, Mapping) and entry.get("name") == name:
                settings = entry.get(kind)
                return self._with_absolute_paths(settings if isinstance(settings, Mapping) else {})
        return None

    def _with_absolute_paths(self, settings: Entry) -> Entry:
        files = {key: str(self.path.parent / settings[key]) for key in _FILES if settings.get(key)}
        plugin = dict(settings.get("exec") or {})
        if os.sep in plugin.get("command", ""):
            plugin["command"] = str(self.path.parent / plugin["command"])
        return {**settings, **files, **({"exec": plugin} if plugin else {})}


def _find(files: Iterable[_KubeconfigFile], kind: str, name: str) -> Entry | None:
    return next((found for file in files if (found := file.find(kind, name)) is not None), None)


class Authentication(KubeAuth):
    """Credentials that are read again when the server refuses them; no copy of a key stays on the disk."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._reading = asyncio.Lock()
        self._tls: ssl.SSLContext | bool = True

    async def reauthenticate(self) -> None:
        """Read the credentials.

        Raises:
            NoClusterError: there are none.
            EnvironmentLacksError: they cannot be read, such as from a plug-in that fails.
        """
        async with self._reading:
            try:
                await super().reauthenticate()
                if path := self._user.get("tokenFile"):
                    self.token = (await asyncio.to_thread(Path(path).read_text)).strip()
                self._tls = await super().ssl_context()  # type: ignore[no-untyped-call]  # it has no types
            except (RuntimeError, ValueError, LookupError, TypeError, AttributeError, OSError) as problem:
                raise self._explain(problem) from problem
            finally:
                for setting, attribute in _COPIES.items():
                    if (setting in self._user or setting in self._cluster) and (copy := getattr(self, attribute)):
                        await asyncio.to_thread(Path(copy).unlink, missing_ok=True)

    async def ssl_context(self) -> ssl.SSLContext | bool:
        """What the server and this side prove themselves with."""
        return self._tls

    def _explain(self, problem: Exception) -> EnvironmentLacksError:
        reason = " ".join(str(problem).split()) or type(problem).__name__
        if not self.active_context:
            return NoClusterError(reason)
        what = f"the credentials of {self.active_context} cannot be read: {reason}"
        return EnvironmentLacksError(what, "does kubectl work with them?")


def authenticate(context: str | None) -> Authentication:
    """The credentials of a context, or of the pod that this is; they are not looked at yet.

    Raises:
        UsageError: the kubeconfig has no such context.
        NoClusterError: the kubeconfig leads to no cluster.
    """
    found = Kubeconfig.read(context)
    if found is not None:
        return found.authentication()
    if context is not None:
        raise UsageError(f"there is no kubeconfig with the context {context!r}", "set KUBECONFIG")
    namespace = _NAMESPACE.read_text().strip() if _NAMESPACE.exists() else None
    return Authentication(namespace=namespace)
