"""In Redis with a replica that takes over when the primary dies: three Sentinels decide that, and name the primary.

A write is acknowledged once the primary has it in memory. It reaches the replica a moment later, without any
acknowledgement. When the primary dies, acknowledged writes that have not reached the replica are lost. Until there is a
new primary, the service answers 503. The options are those of ``redis``.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from targets.common.settings import Settings, SettingsError
from targets.state import TTL
from targets.state.redis import Redis
from targets.storage.store_client import CONNECTIONS

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

OPTIONS: tuple[str, ...] = ("ttl", "versioned")
KEEPS_SESSIONS = True


class RedisSentinel(Redis):
    """Sessions in the primary, which the Sentinels of ``sentinel://host:port,host:port/name`` name."""

    def connect(self, url: str, timeout_s: float) -> "Client":
        """A client of the server that the Sentinels call the primary."""
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - takes 100 ms, which no other state needs to spend
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        class Waiting(SentinelConnectionPool, BlockingConnectionPool):
            """Finds the primary through the Sentinels, and waits for a connection while all are in use."""

        addresses, name = parse_url(url)
        once = Retry(NoBackoff(), 0)
        options = {"socket_timeout": timeout_s / 3, "retry": once}
        self._sentinel = Sentinel(addresses, sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # it has no types
        primary: Client = self._sentinel.master_for(
            name, connection_pool_class=Waiting, max_connections=CONNECTIONS, timeout=timeout_s, retry=once
        )
        return primary

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        await self._sentinel.aclose()


def parse_url(url: str) -> tuple[list[tuple[str, int]], str]:
    """The addresses of the Sentinels, and the name by which they know the primary.

    Raises:
        ValueError: the URL lacks one of them.
    """
    parts = urlsplit(url)
    pairs = [address.rpartition(":") for address in parts.netloc.split(",")]
    name = parts.path.strip("/")
    if parts.scheme != "sentinel" or not name or not all(host and port.isdigit() for host, _, port in pairs):
        raise ValueError(url)
    return [(host, int(port)) for host, _, port in pairs], name


def create_store(settings: Settings) -> RedisSentinel:
    """A client with the options ``ttl`` and ``versioned``.

    Raises:
        SettingsError: there is no store, or its URL is wrong.
    """
    try:
        return RedisSentinel(settings.store, settings.options.seconds("ttl", TTL), settings.options.flag("versioned"))
    except ValueError as problem:
        raise SettingsError(
            "the state redis_sentinel needs --store URL, such as sentinel://127.0.0.1:26379,127.0.0.1:26380/primary"
        ) from problem
