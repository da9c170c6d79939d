"""The Docker engine that the environment names (``DOCKER_HOST``), or the system's."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors

from harness.common.errors import EnvironmentLacksError

INSTALL = "apt-get install docker.io, start dockerd, and be root or of the group docker; docs/docker.md says more"
_TIMEOUT = 60  # seconds that the engine may take for one answer


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    client: docker.DockerClient

    @cached_property
    def info(self) -> dict[str, Any]:
        """What it says of itself."""
        told: dict[str, Any] = self.client.info()
        return told

    @property
    def version(self) -> str:
        """Of its server."""
        return str(self.info["ServerVersion"])

    def require_image(self, name: str) -> None:
        """See to it that an image is there.

        Raises:
            EnvironmentLacksError: it is not.
        """
        try:
            self.client.images.get(name)
        except docker.errors.ImageNotFound as problem:
            raise EnvironmentLacksError(
                f"the engine has no image {name}", f"docker pull {name}, or build it"
            ) from problem

    @property
    def user(self) -> str:
        """Who a container has to be for what it writes to be the user's own: a rootless engine's root is the user."""
        rootless = any("rootless" in option for option in self.info.get("SecurityOptions") or ())
        return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"


def connect_engine(timeout: int = _TIMEOUT) -> Engine:
    """The engine; ``timeout`` is how long it may take for any one answer.

    Raises:
        EnvironmentLacksError: there is none, it does not answer, or it is on another machine.
    """
    host = urlsplit(os.environ.get("DOCKER_HOST", ""))
    if host.scheme in ("tcp", "http", "https", "ssh") and host.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise EnvironmentLacksError(
            f"the Docker engine at {host.hostname} is another machine's: it cannot share this one's directories",
            "unset DOCKER_HOST, or run the harness there",
        )
    try:
        client = docker.from_env(timeout=timeout)
        client.ping()
    except (docker.errors.DockerException, OSError) as problem:
        raise EnvironmentLacksError(f"no Docker engine answers: {_short(problem)}", INSTALL) from problem
    return Engine(client)


def _short(problem: Exception) -> str:
    return str(problem).splitlines()[0][:160] if str(problem) else type(problem).__name__
