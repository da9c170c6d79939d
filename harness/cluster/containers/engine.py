"""The Docker engine that the environment names (``DOCKER_HOST``), or the system's."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors

from harness.common.errors import EnvironmentLacksError

INSTALL = "apt-get install docker.io, start dockerd, and be root or of the group docker; see docs/docker.md"
_REPLY_TIMEOUT_S = 60
_NO_ANSWER = (docker.errors.DockerException, OSError)  # what requests raises is an OSError


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers."""

    client: docker.DockerClient

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the engine reports about itself.

        Raises:
            EnvironmentLacksError: it does not answer any more.
        """
        try:
            info: dict[str, Any] = self.client.info()
        except _NO_ANSWER as problem:
            raise _explain(problem) from problem
        return info

    @property
    def version(self) -> str:
        """The version of the server."""
        return str(self.info["ServerVersion"])

    def require_image(self, name: str) -> None:
        """Check that the engine has an image.

        Raises:
            EnvironmentLacksError: it has not.
        """
        try:
            self.client.images.get(name)
        except docker.errors.ImageNotFound as problem:
            raise EnvironmentLacksError(
                f"the engine has no image {name}", f"docker pull {name}, or build it"
            ) from problem

    @property
    def user(self) -> str:
        """The uid and gid of a container whose files belong to the user; under a rootless engine that is root."""
        rootless = any("rootless" in option for option in self.info.get("SecurityOptions") or ())
        return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"


def connect_engine(timeout: int = _REPLY_TIMEOUT_S) -> Engine:
    """Connect to the engine; ``timeout`` in seconds applies to each of its replies.

    Raises:
        EnvironmentLacksError: there is no engine, it does not answer, or it runs on another machine.
    """
    host = urlsplit(os.environ.get("DOCKER_HOST", ""))
    if host.scheme in ("tcp", "http", "https", "ssh") and host.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise EnvironmentLacksError(
            f"the Docker engine at {host.hostname} runs on another machine: it cannot share directories with this one",
            "unset DOCKER_HOST, or run the harness there",
        )
    try:
        client = docker.from_env(timeout=timeout)
        client.ping()
    except _NO_ANSWER as problem:
        raise _explain(problem) from problem
    return Engine(client)


def _explain(problem: Exception) -> EnvironmentLacksError:
    reason = str(problem).splitlines()[0][:160] if str(problem) else type(problem).__name__
    return EnvironmentLacksError(f"no Docker engine answers: {reason}", INSTALL)
