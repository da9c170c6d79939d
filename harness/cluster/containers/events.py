"""The engine's events: which containers have ended."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker.errors

from harness.cluster.containers.engine import Engine


@contextlib.contextmanager
def watch_events(
    engine: Engine, on_event: Callable[[Mapping[str, Any]], None], on_lost: Callable[[], None]
) -> Iterator[None]:
    """Call ``on_event`` for every container that ends or is removed, for the length of a scope.

    ``on_lost`` is called when the engine reports nothing more. Both are called in the running event loop.
    """
    loop = asyncio.get_running_loop()
    filters = {"type": "container", "event": ["die", "destroy"]}  # Compose's containers lack the label of the run
    stream = engine.client.api.events(since=int(time.time()), filters=filters, decode=True)

    def listen() -> None:
        with contextlib.suppress(docker.errors.DockerException, OSError, ValueError, RuntimeError):  # closed
            for event in stream:
                loop.call_soon_threadsafe(on_event, event)
        with contextlib.suppress(RuntimeError):  # the loop has ended as well
            loop.call_soon_threadsafe(on_lost)

    thread = threading.Thread(target=listen, name="docker events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.close()
