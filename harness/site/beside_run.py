"""The site beside a run of the same process: a thread with a loop of its own, so that neither waits for the other."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.site.server import ServedSite, serve

_LOOK_S = 0.2


@contextmanager
def serve_beside(results: Path) -> Iterator[ServedSite]:
    """Serve the runs below a directory on a free port for the length of a scope.

    Raises:
        EnvironmentLacksError: no port is free.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="site", daemon=True)
    thread.start()
    scope = serve(results, 0)
    try:
        site = asyncio.run_coroutine_threadsafe(scope.__aenter__(), loop).result()
        try:
            yield site
        finally:
            asyncio.run_coroutine_threadsafe(scope.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def wait_until_unwatched(site: ServedSite) -> None:
    """Wait until no page follows a run any more, or until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while site.watchers.count:
            time.sleep(_LOOK_S)
