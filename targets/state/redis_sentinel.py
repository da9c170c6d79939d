"""In Redis, where a replica takes over when the primary dies: three Sentinels see to that, and say who leads.

A write is acknowledged once the primary holds it in memory; it reaches the replica a moment later, and nobody waits for
that. What the replica has not had when the primary dies is lost, though it was acknowledged. Until another leads, the
service says 503. The options are those of ``redis``.
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
    """Sessions in the server that leads, as the Sentinels of ``sentinel://host:port,host:port/name`` have it."""

    def _connect(self, url: str, timeout_s: float) -> "Client":
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - 100 ms that only this store needs to spend
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        class Waiting(SentinelConnectionPool, BlockingConnectionPool):
            """Asks the Sentinels who leads, and where all connections are taken waits for one."""

        addresses, name = parse_url(url)
        once = Retry(NoBackoff(), 0)
        asking = {"socket_timeout": timeout_s / 3, "retry": once}
        self._sentinel = Sentinel(addresses, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]  # it has no types
        leader: Client = self._sentinel.master_for(
            name, connection_pool_class=Waiting, max_connections=CONNECTIONS, timeout=timeout_s, retry=once
        )
        return leader

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        await self._sentinel.aclose()


def parse_url(url: str) -> tuple[list[tuple[str, int]], str]:
    """The addresses of the Sentinels, and the name by which they know the primary.

    Raises:
        ValueError: the URL has none of these.
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
        SettingsError: there is no store, or its URL is none.
    """
    try:
        return RedisSentinel(settings.store, settings.options.seconds("ttl", TTL), settings.options.flag("versioned"))
    except ValueError as problem:
        raise SettingsError(
            "the state redis_sentinel needs --store URL, such as sentinel://127.0.0.1:26379,127.0.0.1:26380/primary"
        ) from problem
