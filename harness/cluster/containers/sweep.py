"""Removes every container and network of a run, found by their labels.

Also run as a script by its path (``python -P sweep.py RUN``) on the standard library and the Docker SDK alone: the
supervisor process does that when the harness has ended, for whatever reason.
"""

import contextlib
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import docker.errors

RUN = "session-harness.run"
PROJECT = "com.docker.compose.project"  # Compose's own label
OWNER = "session-harness.owner"


def find_labelled(client: docker.DockerClient, label: str) -> tuple[list[Any], list[Any]]:
    """Return the containers and the networks that carry a label (``name`` or ``name=value``)."""
    filters: dict[str, Any] = {"label": label}
    return client.containers.list(all=True, filters=filters, ignore_removed=True), client.networks.list(filters=filters)


def remove(containers: Iterable[Any], networks: Iterable[Any]) -> None:
    """Kill and remove them, containers first: a network in use cannot be removed."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda container: _remove(container, force=True, v=True), containers))
        list(pool.map(_remove, networks))


def _remove(resource: Any, **options: bool) -> None:
    with contextlib.suppress(docker.errors.APIError):  # it is gone, or being removed
        resource.remove(**options)


def project(run: str, number: int) -> str:
    """Return the name of a Compose project of a run; what Compose makes carries it as a label."""
    return f"harness-{run.lower()}-{number}"


def sweep(client: docker.DockerClient, run: str) -> None:
    """Remove all that a run has made; repeat that, since something may have been in the making."""
    for _ in range(3):
        containers, networks = find_labelled(client, f"{RUN}={run}")
        composed = [_of_projects(resources, run) for resources in find_labelled(client, PROJECT)]
        if not (containers or networks or any(composed)):
            break
        remove([*containers, *composed[0]], [*networks, *composed[1]])
    for volume in _of_projects(client.volumes.list(filters={"label": PROJECT}), run):
        _remove(volume)


def _of_projects(resources: Iterable[Any], run: str) -> list[Any]:
    """Those that belong to a Compose project of a run."""
    prefix, selected = project(run, 0)[:-1], []
    for resource in resources:
        labels = getattr(resource, "labels", None) or resource.attrs.get("Labels") or {}
        if labels.get(PROJECT, "").startswith(prefix):
            selected.append(resource)
    return selected


if __name__ == "__main__":
    sweep(docker.from_env(timeout=15), sys.argv[1])
