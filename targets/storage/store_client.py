"""What the stores at the far end of a connection have in common: handles that are keys, and patience."""

import asyncio
import os
import re
from collections.abc import Awaitable
from typing import TypeVar

from targets.http.errors import UnavailableError

#: Seconds after which a store that does not answer counts as away.
TIMEOUT_S = 1.0
#: How many connections to a store a replica has at most, where each carries one question at a time.
CONNECTIONS = 32
#: ``--option fsync``: whether what is acknowledged is on the disk by then, or some time later.
ALWAYS, INTERVAL = "always", "interval"
_HANDLE = re.compile(r"[0-9a-f]{32}")
T = TypeVar("T")


def new_handle() -> str:
    """A random key that nobody guesses: 32 hex digits."""
    return os.urandom(16).hex()


def is_handle(text: str) -> bool:
    """Whether it could be one of ours: nothing else is worth asking a store for."""
    return _HANDLE.fullmatch(text) is not None


async def answer(asked: Awaitable[T], timeout_s: float, store_errors: tuple[type[Exception], ...]) -> T:
    """What a store answers.

    Raises:
        UnavailableError: nothing within ``patience`` seconds (OSError is one of ``broken``, so TimeoutError too), or another
            of ``broken``.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await asked
    except store_errors as problem:
        raise UnavailableError(f"the store does not answer: {type(problem).__name__}") from problem
