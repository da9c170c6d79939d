"""Greenlets whose exceptions are not lost."""

from collections.abc import Callable
from typing import Any

import gevent


def spawn(work: Callable[..., None], *args: Any, on_error: Callable[[BaseException], None]) -> gevent.Greenlet:
    """Run ``work`` in a greenlet; ``on_error`` is called with any exception."""

    def run() -> None:
        try:
            work(*args)
        except Exception as problem:
            on_error(problem)

    return gevent.spawn(run)
