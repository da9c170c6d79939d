"""The client of one Redis server, for all that a replica keeps there."""

from typing import TYPE_CHECKING

from targets.storage.store_client import CONNECTIONS

if TYPE_CHECKING:
    from redis.asyncio import Redis


def connect(url: str, timeout_s: float) -> "Redis":
    """A client that waits up to ``timeout_s`` seconds for one of its connections while all are in use.

    Raises:
        ValueError: it is not the URL of a Redis server.
    """
    from redis import asyncio as client  # noqa: PLC0415 - takes 100 ms, which no other state needs to spend
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    # The client must not repeat a write whose reply is lost: the first one may have been applied.
    pool = client.BlockingConnectionPool.from_url(
        url, max_connections=CONNECTIONS, timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )
    return client.Redis.from_pool(pool)
