import pytest

from targets.apps import cqrs
from targets.common.settings import Options, Settings, SettingsError
from targets.server import catalog
from targets.state.memory import Memory
from tests.support.served_target import Client, Reply, client_of, run_server

OPS = [f"{n:016x}" for n in range(1, 9)]


def lagging(lag: str) -> Settings:
    return Settings("r7", "b00", options=Options({"lag": lag}))


async def added(client: Client, op: str) -> Reply:
    return await client.post("/cart/add", {"item": "tea"}, op=op)


async def test_a_query_lacks_the_latest_writes_and_reports_how_many() -> None:
    async with client_of(cqrs, Memory(), settings=lagging("1h")) as client:
        for op in OPS[:1]:
            assert (await added(client, op)).body["version"] == 1
        assert (await client.get("/cart")).body["behind"] == 0  # its view is made of the write model
        for op in OPS[1:4]:
            written = await added(client, op)
        assert (written.body["version"], written.session["count"]) == (4, 4)
        reply = await client.get("/cart")
        assert (reply.body["version"], reply.session["count"], reply.body["behind"]) == (1, 1, 3)
        assert reply.body["items"] == {"tea": 1}


async def test_a_query_shows_every_write_once_the_view_has_caught_up() -> None:
    async with client_of(cqrs, Memory(), settings=lagging("30ms")) as client:
        await added(client, OPS[0])
        await client.get("/cart")
        written = await added(client, OPS[1])
        for path in ("/cart/after", "/cart/after?version=2"):
            reply = await client.get(path)
            assert (reply.body["version"], reply.session) == (2, written.session)
        assert (await client.get("/cart")).session == written.session


async def test_a_query_does_not_wait_for_ever_for_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cqrs, "CATCH_UP_TIMEOUT_S", 0.02)
    async with client_of(cqrs, Memory(), settings=lagging("1ms")) as client:
        await added(client, OPS[0])
        assert (await client.get("/cart/after?version=2")).status == 503
        assert (await client.get("/cart/after?version=x")).status == 400


async def test_an_unknown_or_expired_session_is_a_new_one() -> None:
    now = 0.0
    async with client_of(cqrs, Memory(ttl=10, clock=lambda: now), settings=lagging("1ms")) as client:
        first = await added(client, OPS[0])
        assert (await client.get("/cart")).session["birth"] == first.session["birth"]
        now = 11.0
        for path in ("/cart", "/cart/after?version=0"):
            reply = await client.get(path)
            assert (reply.session["count"], reply.body["version"], reply.body["behind"]) == (0, 0, 0)
            assert reply.session["birth"] != first.session["birth"]


async def test_views_are_rebuilt_after_a_restart() -> None:
    class Kept(Memory):
        async def close(self) -> None:
            """It outlives the service."""

    store = Kept()
    async with client_of(cqrs, store, settings=lagging("1h")) as client:
        written = await added(client, OPS[0])
        cookie = next(iter(client.http.session.cookie_jar)).value
    async with run_server(cqrs, store, settings=lagging("1h")) as server:
        after = Client(server)
        after.http.session.cookie_jar.update_cookies({"session": cookie})
        assert (await after.get("/cart")).session == written.session
        await after.http.close()


def test_no_read_model_can_follow_a_token() -> None:
    with pytest.raises(SettingsError, match="nothing that a read model could follow"):
        catalog.select("cqrs", "token", Options())
