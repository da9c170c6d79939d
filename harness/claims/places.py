"""The places for the state as they are designed: what each cannot survive whatever was measured, and its trade-offs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Keeping(StrEnum):
    """Where a place keeps what it acknowledged."""

    CLIENT = "with the client"
    PROCESS = "in the memory of a process"
    VOLUME = "on a replica's own volume"
    VOLATILE = "in the memory of a server"
    ASYNCHRONOUS = "on a server whose replica may lag"
    DURABLE = "on disk or on several servers, before it is acknowledged"


@dataclass(frozen=True)
class Place:
    """One place by its design. ``trade_off`` is a sentence of what it gains and what it costs."""

    keeping: Keeping
    trade_off: str
    revocable: bool = True  # the server can change or revoke the state

    @property
    def durable(self) -> bool:
        """Whether an acknowledged write outlives every single process and server by design."""
        return self.keeping in (Keeping.CLIENT, Keeping.DURABLE)

    @property
    def volatile(self) -> bool:
        """Whether the end of one process or server, or its full memory, may take acknowledged writes by design."""
        return self.keeping in (Keeping.PROCESS, Keeping.VOLATILE)


PLACES: Mapping[str, Place] = {
    "token": Place(
        Keeping.CLIENT,
        "any replica serves any request and nothing can be lost on a server, but a token cannot be revoked before it "
        "expires, grows with the state up to the 4 KB of a cookie, and of two writers the last one wins",
        revocable=False,
    ),
    "memory": Place(
        Keeping.PROCESS,
        "the least work per request and writes in order without a version check, but each death, deploy and scale-in "
        "loses the sessions of a replica, and affinity is required",
    ),
    "replicated": Place(
        Keeping.PROCESS,
        "survives a dead replica without any store, but every write waits for a peer, and replicas that end one after "
        "another can take both copies with them",
    ),
    "checkpoint": Place(
        Keeping.VOLUME,
        "nearly as cheap as memory, but a crash loses what is newer than the last checkpoint, and sessions are bound "
        "to the volume of one replica",
    ),
    "eventlog": Place(
        Keeping.VOLUME,
        "loses nothing in a crash and keeps the whole history, but sessions wait for their replica to come back with "
        "its volume, and each write waits for the disk",
    ),
    "sqlite": Place(
        Keeping.VOLUME,
        "a real database without a server, but sessions wait for their replica to come back with its volume",
    ),
    "memcached": Place(
        Keeping.VOLATILE,
        "a cheap shared cache that any replica reaches, but its restart loses all sessions, and a full one evicts some",
    ),
    "redis": Place(
        Keeping.VOLATILE,
        "any replica reaches it and it can do more than get and set, but one server without persistence loses all "
        "sessions with its process, and all requests wait for it",
    ),
    "redis_sentinel": Place(
        Keeping.ASYNCHRONOUS,
        "fails over by itself within seconds, but acknowledges before its replica has a write, so a failover loses the "
        "latest ones; nine processes to run",
    ),
    "postgres": Place(
        Keeping.DURABLE,
        "acknowledges once the write is on disk and most teams run one already, but a single server is unavailable "
        "while it restarts, and every write costs a disk flush",
    ),
    "etcd": Place(
        Keeping.DURABLE,
        "a majority of three servers has each write, so the death of one loses nothing, but it is slow and meant for "
        "small data",
    ),
    "nats": Place(
        Keeping.DURABLE,
        "a majority of three servers has each write and messages come with it, but electing the next leader takes "
        "seconds in which writes are refused",
    ),
    "hazelcast": Place(
        Keeping.DURABLE,
        "a backup has each write before it is acknowledged and failover is fast, but it needs a JVM's memory on each "
        "of three servers, and keeps nothing if all of them end",
    ),
}
