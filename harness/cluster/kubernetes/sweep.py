"""Removes the namespaces of runs, found by their label and their owner."""

import asyncio
from collections.abc import Callable

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import NAMESPACE
from harness.cluster.kubernetes.run_namespace import OWNER, RUN, remove_namespace


async def sweep(api: KubernetesApi, is_ended: Callable[[str], bool], run: str = "") -> tuple[str, ...]:
    """Remove the namespaces of one run, or of all, whose owner ``is_ended``; returns their names.

    A namespace without an owner, or with one that still runs, is left alone.
    """
    found = await api.read_all(NAMESPACE, labels=f"{RUN}={run}" if run else RUN)
    names = [
        str(item["metadata"]["name"])
        for item in found
        if is_ended(item["metadata"].get("annotations", {}).get(OWNER, ""))
    ]
    await asyncio.gather(*(remove_namespace(api, name) for name in names))
    return tuple(names)
