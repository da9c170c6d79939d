"""The client of PostgreSQL, where the server ends a connection in the middle of its use."""

import asyncpg
import pytest

from targets.http.errors import UnavailableError
from targets.state.postgres import Postgres


class EndingConnection:
    """A connection that the server is ending: the library refuses the query by a state of its own."""

    terminated = False

    async def fetchval(self, *_: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    def terminate(self) -> None:
        self.terminated = True


class Pool:
    """A pool with this one connection."""

    def __init__(self, connection: EndingConnection) -> None:
        self.connection = connection

    async def acquire(self) -> EndingConnection:
        return self.connection

    async def release(self, connection: EndingConnection) -> None:
        assert connection is self.connection


async def test_a_query_on_a_connection_that_the_server_is_ending_finds_the_store_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = EndingConnection()
    monkeypatch.setattr(asyncpg, "create_pool", lambda *_, **__: Pool(connection))
    store = Postgres("postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(UnavailableError, match="InternalClientError"):
        await store.read("a" * 32)
    assert connection.terminated
