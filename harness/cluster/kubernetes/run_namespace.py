"""The namespace of a run: everything that the run creates is in it, and ends with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.api import ApiUnreachableError, KubernetesApi, wait_until_gone
from harness.cluster.kubernetes.kinds import CLAIM, NAMESPACE, POD, Kind, Manifest, kind_of
from harness.cluster.supervisor.main import owner_identity
from harness.common.background import finish
from harness.common.errors import EnvironmentLacksError
from harness.common.waiting import wait_until

#: The label with the id of the run, and the annotation that identifies the harness that owns the namespace. An
#: identity has characters that a label may not have.
RUN, OWNER = "session-harness.run", "session-harness.owner"
MANIFESTS = "manifests.yaml"  # in the directory of an arm's logs
_REMOVAL_TIMEOUT_S = 60.0
_RETRY_S = 1.0
_POLL_INTERVAL_S = 0.2


class RunNamespace:
    """A namespace that exists; objects are created in it."""

    def __init__(self, api: KubernetesApi, name: str) -> None:
        self.api = api
        self.name = name
        self._created: list[Manifest] = []

    async def create(self, manifest: Manifest, logs: Path) -> Manifest:
        """Create an object, and keep its manifest among the logs; a Secret is kept without its content.

        Raises:
            EnvironmentLacksError: the API server refuses it, or does not answer.
        """
        kept = {key: value for key, value in manifest.items() if key != "stringData"}
        with (logs / MANIFESTS).open("a") as file:
            yaml.safe_dump(kept, file, explicit_start=True, sort_keys=False)
        self._created.append(manifest)
        return await self.api.create(kind_of(manifest), manifest, self.name)

    def has(self, kind: Kind, name: str) -> bool:
        """Whether an object was created here, and not deleted by ``clear``."""
        return any((kind_of(item), item["metadata"]["name"]) == (kind, name) for item in self._created)

    async def clear(self) -> None:
        """Delete all that was created here, and wait until every pod and every claim is gone.

        Raises:
            EnvironmentLacksError: something is still there after a minute, or the API server does not answer.
        """
        created, self._created = self._created, []
        for manifest in created:
            await self.api.delete(kind_of(manifest), manifest["metadata"]["name"], self.name)

        async def is_empty() -> bool:
            return not [item for kind in (POD, CLAIM) for item in await self.api.read_all(kind, self.name)]

        if not await wait_until(is_empty, _REMOVAL_TIMEOUT_S, _POLL_INTERVAL_S):
            raise EnvironmentLacksError(
                f"pods of {self.name} do not end within a minute", f"kubectl --namespace {self.name} get pods"
            )


@asynccontextmanager
async def open_namespace(api: KubernetesApi, prefix: str, run: str) -> AsyncIterator[RunNamespace]:
    """Create the namespace of a run for the length of a scope; it is deleted at the end, however that is reached.

    Raises:
        EnvironmentLacksError: the API server refuses it, or it cannot be deleted.
    """
    name = f"{prefix}-{run.lower()}"
    await api.create(NAMESPACE, manifests.namespace(name, {RUN: run}, {OWNER: owner_identity()}))
    try:
        yield RunNamespace(api, name)
    finally:
        await finish(remove_namespace(api, name))


async def remove_namespace(api: KubernetesApi, name: str) -> None:
    """Delete a namespace and wait until it is gone. A server that does not answer for a while is asked again.

    Raises:
        EnvironmentLacksError: it is still there after a minute.
    """
    deadline = asyncio.get_running_loop().time() + _REMOVAL_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(ApiUnreachableError):
            await api.delete(NAMESPACE, name)
            if await wait_until_gone(api, NAMESPACE, name, None, deadline - asyncio.get_running_loop().time()):
                return
        await asyncio.sleep(_RETRY_S)
    raise EnvironmentLacksError(
        f"the namespace {name} was not removed within a minute", f"kubectl delete namespace {name}"
    )
