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
OWNER = "session-harness.owner"


def left(client: docker.DockerClient, label: str) -> tuple[list[Any], list[Any]]:
    """Containers and networks that carry a label (``name`` or ``name=value``)."""
    filters: dict[str, Any] = {"label": label}
    return client.containers.list(all=True, filters=filters, ignore_removed=True), client.networks.list(filters=filters)


def remove(containers: Iterable[Any], networks: Iterable[Any]) -> None:
    """Kill and remove them, containers first: a network in use cannot go."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_container, containers))
        list(pool.map(_network, networks))


def _container(container: Any) -> None:
    with contextlib.suppress(docker.errors.APIError):  # it is gone, or going already
        container.remove(force=True, v=True)


def _network(network: Any) -> None:
    with contextlib.suppress(docker.errors.APIError):
        network.remove()


def sweep(client: docker.DockerClient, run: str) -> None:
    """Remove what a run has; again where something was just being made."""
    for _ in range(3):
        containers, networks = left(client, f"{RUN}={run}")
        if not containers and not networks:
            return
        remove(containers, networks)


if __name__ == "__main__":
    sweep(docker.from_env(timeout=15), sys.argv[1])
