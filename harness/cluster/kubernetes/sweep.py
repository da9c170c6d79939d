"""Removes the namespaces of runs, found by their label and their owner."""

import asyncio
from collections.abc import Callable, Sequence

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import NAMESPACE
from harness.cluster.kubernetes.run_namespace import OWNER, RUN, remove_namespace
from harness.common.errors import EnvironmentLacksError


class NamespacesLeftError(EnvironmentLacksError):
    """Some of the namespaces could not be removed; ``removed`` names those that were."""

    def __init__(self, problems: Sequence[EnvironmentLacksError], removed: tuple[str, ...]) -> None:
        super().__init__("; ".join(dict.fromkeys(problem.message for problem in problems)), problems[0].hint)
        self.removed = removed


async def sweep(api: KubernetesApi, is_ended: Callable[[str], bool], run: str = "") -> tuple[str, ...]:
    """Remove the namespaces of one run, or of all, whose owner ``is_ended``; returns their names.

    A namespace without an owner, or with one that still runs, is left alone.

    Raises:
        NamespacesLeftError: some could not be removed; the others were.
        EnvironmentLacksError: the API server does not answer, or refuses to list them.
    """
    found = await api.read_all(NAMESPACE, labels=f"{RUN}={run}" if run else RUN)
    names = [
        str(item["metadata"]["name"])
        for item in found
        if is_ended(item["metadata"].get("annotations", {}).get(OWNER, ""))
    ]
    attempts = await asyncio.gather(*(_try_to_remove(api, name) for name in names))
    removed = tuple(name for name, problem in zip(names, attempts, strict=True) if problem is None)
    if problems := [problem for problem in attempts if problem]:
        raise NamespacesLeftError(problems, removed)
    return removed


async def _try_to_remove(api: KubernetesApi, name: str) -> EnvironmentLacksError | None:
    """Remove a namespace; returns why that failed, so that it does not keep others from being removed."""
    try:
        await remove_namespace(api, name)
    except EnvironmentLacksError as problem:
        return problem
    return None
