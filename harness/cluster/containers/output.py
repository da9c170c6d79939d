"""The output of containers that do not write to their log files themselves."""

import asyncio
import contextlib
import threading
from pathlib import Path

import docker.errors

from harness.cluster.containers.engine import Engine

_DRAIN_TIMEOUT_S = 5.0  # in which the engine passes on what a container printed before its end


class OutputFollowers:
    """Threads that append the output of containers to files."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads: dict[str, threading.Thread] = {}

    def follow(self, container: str, log: Path) -> None:
        """Append to ``log`` what the container prints from now on."""
        stream = self._engine.client.api.attach(container, stream=True, logs=False)

        def write() -> None:
            with contextlib.suppress(docker.errors.DockerException, OSError), log.open("ab", buffering=0) as file:
                for data in stream:
                    file.write(data)

        self._threads[container] = threading.Thread(target=write, name=f"log of {container}", daemon=True)
        self._threads[container].start()

    async def drain(self, container: str) -> None:
        """Wait until all that a container printed before its end is in its log."""
        if container in self._threads:
            await asyncio.to_thread(self._threads[container].join, _DRAIN_TIMEOUT_S)
