"""Shared by the clients of external stores: handles that are keys, timeouts and the number of connections."""

import asyncio
import os
import re
from collections.abc import Awaitable
from typing import TypeVar

from targets.http.errors import UnavailableError

#: Seconds after which a store that does not answer counts as unavailable.
TIMEOUT_S = 1.0
#: The most connections of a replica to a store whose connections carry one request at a time.
CONNECTIONS = 32
#: ``--option fsync``: whether an acknowledged write is on the disk already, or some time later.
ALWAYS, INTERVAL = "always", "interval"
_HANDLE = re.compile(r"[0-9a-f]{32}")
T = TypeVar("T")


def new_handle() -> str:
    """A random key that cannot be guessed: 32 hex digits."""
    return os.urandom(16).hex()


def is_handle(text: str) -> bool:
    """Whether a text can be a handle; for any other, no store needs to be asked."""
    return _HANDLE.fullmatch(text) is not None


async def answer_within(timeout_s: float, call: Awaitable[T], store_errors: tuple[type[Exception], ...]) -> T:
    """The store's answer to a call.

    Raises:
        UnavailableError: no answer within ``timeout_s`` seconds, or one of ``store_errors``. OSError has to be one of
            those, so that TimeoutError is too.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except store_errors as problem:
        raise UnavailableError(f"the store does not answer: {type(problem).__name__}") from problem
