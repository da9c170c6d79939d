"""Removes every container and network of a run, told by their labels.

Also run as a script by its path (``python -P sweep.py RUN``) on the standard library and the Docker SDK alone: the
supervisor does that when the harness has ended, however it did.
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
    """Containers and networks that carry a label (``name`` or ``name=value``)."""
    filters: dict[str, Any] = {"label": label}
    return client.containers.list(all=True, filters=filters, ignore_removed=True), client.networks.list(filters=filters)


def remove(containers: Iterable[Any], networks: Iterable[Any]) -> None:
    """Kill and remove them, containers first: a network in use cannot go."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_container, containers))
        list(pool.map(_gone, networks))


def _container(container: Any) -> None:
    with contextlib.suppress(docker.errors.APIError):  # it is gone, or going already
        container.remove(force=True, v=True)


def _gone(one: Any) -> None:
    with contextlib.suppress(docker.errors.APIError):
        one.remove()


def project(run: str, nth: int) -> str:
    """The name of a run's ``nth`` Compose project, by which what Compose made for it is told."""
    return f"harness-{run.lower()}-{nth}"


def sweep(client: docker.DockerClient, run: str) -> None:
    """Remove what a run has; again where something was just being made."""
    for _ in range(3):
        containers, networks = find_labelled(client, f"{RUN}={run}")
        composed = [_composed(found, run) for found in find_labelled(client, PROJECT)]
        if not (containers or networks or any(composed)):
            break
        remove([*containers, *composed[0]], [*networks, *composed[1]])
    for volume in _composed(client.volumes.list(filters={"label": PROJECT}), run):
        _gone(volume)


def _composed(found: Iterable[Any], run: str) -> list[Any]:
    """Those of a run's Compose projects."""

    def labels(one: Any) -> Any:
        return getattr(one, "labels", None) or one.attrs.get("Labels") or {}

    return [one for one in found if labels(one).get(PROJECT, "").startswith(project(run, 0)[:-1])]


if __name__ == "__main__":
    sweep(docker.from_env(timeout=15), sys.argv[1])
