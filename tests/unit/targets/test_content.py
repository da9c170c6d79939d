import pytest

from targets.apps import AppContext, content
from targets.apps.content import FOREVER, Content, celsius, object_bytes
from targets.http.routes import Routes
from targets.state.none import NullStore
from tests.support.served_target import client_of


class Clocked:
    """The app with the test's clock."""

    OPTIONS: tuple[str, ...] = ()
    KEEPS_SESSIONS = False

    def __init__(self) -> None:
        self.now = 1000.0

    def create_routes(self, context: AppContext) -> Routes:
        content_app = Content(period=10.0, clock=lambda: self.now)
        return {"/object": {"GET": content_app.show_object}, "/weather": {"GET": content_app.show_weather}}


async def test_an_object_is_immutable_and_is_sent_only_once() -> None:
    async with client_of(content, NullStore()) as client:
        first = await client.http.get("/object?id=logo")
        assert await first.read() == object_bytes("logo")
        assert first.headers["Cache-Control"] == FOREVER
        again = await client.http.get("/object?id=logo", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["X-Replica"] == "r7"
        other = await client.http.get("/object?id=icon", headers={"If-None-Match": first.headers["ETag"]})
        assert (other.status, await other.read()) == (200, object_bytes("icon"))


@pytest.mark.parametrize("condition", ["*", "W/{}", '"x", {}'])
async def test_any_tag_of_a_condition_may_match(condition: str) -> None:
    async with client_of(content, NullStore()) as client:
        tag = (await client.http.get("/object?id=logo")).headers["ETag"]
        reply = await client.http.get("/object?id=logo", headers={"If-None-Match": condition.format(tag)})
        assert reply.status == 304


async def test_a_forecast_holds_for_its_period() -> None:
    app = Clocked()
    async with client_of(app, NullStore()) as client:
        first = await client.get("/weather?place=oslo")
        assert first.body == {"place": "oslo", "period": 100, "celsius": celsius("oslo", 100)}
        assert first.headers["Cache-Control"] == "public, max-age=5"
        app.now += 9.9
        assert (await client.get("/weather?place=oslo", If_None_Match=first.headers["ETag"])).status == 304
        app.now += 0.2
        later = await client.get("/weather?place=oslo", If_None_Match=first.headers["ETag"])
        assert (later.status, later.body["period"]) == (200, 101)


@pytest.mark.parametrize("path", ["/object", "/object?id=", "/object?id=a/b", f"/weather?place={'x' * 65}"])
async def test_a_wrong_id_is_refused(path: str) -> None:
    async with client_of(content, NullStore()) as client:
        assert (await client.get(path)).status == 400
