"""Removes what a harness that is gone left in a cluster: the namespaces of runs, and the cordons of nodes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.kinds import NAMESPACE
from harness.cluster.kubernetes.nodes import find_cordoned, uncordon
from harness.cluster.kubernetes.run_namespace import OWNER, RUN, remove_namespace
from harness.common.errors import EnvironmentLacksError


@dataclass(frozen=True)
class Sweeping:
    """What was removed, each as its kind and name, and why the rest could not be."""

    removed: Sequence[tuple[str, str]]
    problems: Sequence[EnvironmentLacksError]

    @property
    def problem(self) -> EnvironmentLacksError | None:
        """What keeps the rest; None if nothing is left."""
        if not self.problems:
            return None
        message = "; ".join(dict.fromkeys(problem.message for problem in self.problems))
        return EnvironmentLacksError(message, self.problems[0].hint)


async def sweep(api: KubernetesApi, is_ended: Callable[[str], bool], run: str = "") -> Sweeping:
    """Remove the namespaces of one run, or of all, and the cordons whose owner ``is_ended``.

    What has no owner, or one that still runs, is left alone.

    Raises:
        EnvironmentLacksError: the API server does not answer, or refuses to list namespaces.
    """
    found = await api.read_all(NAMESPACE, labels=f"{RUN}={run}" if run else RUN)
    owners = {str(item["metadata"]["name"]): item["metadata"].get("annotations", {}).get(OWNER, "") for item in found}
    namespaces = [name for name, owner in owners.items() if is_ended(owner)]
    nodes = [name for name, owner in (await find_cordoned(api)).items() if is_ended(owner)]
    attempts = await asyncio.gather(
        *(uncordon(api, name) for name in nodes),
        *(remove_namespace(api, name) for name in namespaces),
        return_exceptions=True,
    )
    items = [*(("cordon", name) for name in nodes), *(("namespace", name) for name in namespaces)]
    removed = [item for item, attempt in zip(items, attempts, strict=True) if attempt is None]
    problems = [attempt for attempt in attempts if isinstance(attempt, EnvironmentLacksError)]
    for defect in attempts:
        if isinstance(defect, BaseException) and not isinstance(defect, EnvironmentLacksError):
            raise defect
    return Sweeping(removed, problems)
