"""The harness's side of the admin pages, against a service."""

from aiohttp.test_utils import BaseTestServer

from harness.cluster.replicas import admin
from targets.apps import cart
from targets.http.keys import Keyring
from targets.server.capacity import Slots
from targets.state.memory import Memory
from targets.state.token import Token
from tests.support.served_target import Client, run_server


def _address(server: BaseTestServer) -> tuple[str, int]:
    assert server.port is not None
    return str(server.host), server.port


async def test_keys_are_reported_by_number_and_id_and_replaced() -> None:
    ring = Keyring("s")
    async with run_server(cart, Token(ring)) as server:
        before = await admin.fetch_keys(*_address(server))
        assert before is not None and (before.signing, before.accepted, before.id) == (1, (1,), ring.signing.id)
        after = await admin.replace_keys(*_address(server), 2, (1, 2))
        assert after is not None and (after.signing, after.accepted, after.id) == (2, (1, 2), ring.signing.id)
        assert after.id != before.id
        assert await admin.replace_keys(*_address(server), 0, (1,)) is None


async def test_slot_usage_is_the_share_of_slots_in_use() -> None:
    async with run_server(cart, Memory(), slots=Slots(0.01, 2)) as server:
        before = await admin.fetch_load(*_address(server))
        client = Client(server)
        for _ in range(5):
            await client.get("/cart")
        after = await admin.fetch_load(*_address(server))
        await client.http.close()
    assert before is not None and after is not None
    assert (before.held_s, before.slots) == (0, 2)
    assert after.held_s >= 0.05
    assert 0 < after.since(before) <= 1


async def test_a_service_without_keys_and_slots_reports_neither() -> None:
    async with run_server(cart, Memory()) as server:
        assert await admin.fetch_keys(*_address(server)) is None
        assert await admin.fetch_load(*_address(server)) is None
        address = _address(server)
    assert await admin.fetch_keys(*address) is None
