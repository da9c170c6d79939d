"""The admin page of the keys: it shows ids, never a key."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from targets.apps import cart
from targets.common.session import SessionState
from targets.common.settings import Options, SettingsError
from targets.http.errors import UnauthorizedError
from targets.http.keys import Keyring
from targets.server.capacity import Slots
from targets.state import token
from targets.state.token import Token
from tests.support.served_target import SETTINGS, Client, client_of


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with client_of(cart, Token(Keyring("s")), slots=Slots(0.001, 1)) as client:
        yield client


async def test_a_rotation_with_overlap_keeps_the_session_and_one_without_it_is_answered_401(client: Client) -> None:
    birth = (await client.get("/cart")).session["birth"]
    overlapping = await client.put("/keys", {"signing": 2, "accepted": [1, 2]})
    assert (overlapping.body["signing"], overlapping.body["accepted"]) == (2, [1, 2])
    assert (await client.get("/cart")).session["birth"] == birth
    await client.put("/keys", {"signing": 3, "accepted": [3]})
    assert (await client.get("/cart")).status == 401
    await client.put("/keys", {"signing": 3, "accepted": [1, 3]})
    assert (await client.get("/cart")).session["birth"] == birth


async def test_the_page_shows_ids_and_no_key(client: Client) -> None:
    reply = await client.get("/keys")
    keys = Keyring("s")
    assert reply.body == {"signing": 1, "accepted": [1], "ids": {"1": keys.signing.id}}
    assert keys.signing.secret.hex() not in str(reply.body)
    assert keys.signing.secret.hex() not in repr(keys.signing)


@pytest.mark.parametrize(
    "wrong", [{}, {"signing": 0, "accepted": [1]}, {"signing": 2, "accepted": ["x"]}, {"signing": 2}]
)
async def test_a_wrong_rotation_is_refused(client: Client, wrong: dict[str, object]) -> None:
    assert (await client.put("/keys", wrong)).status == 400
    assert (await client.get("/keys")).body["signing"] == 1


def _store(**options: str) -> Token:
    return token.create_store(replace(SETTINGS, secret="s", options=Options(options)))


async def test_a_service_can_start_with_later_keys() -> None:
    session = SessionState.new("u1")
    old, new = _store(), _store(signing="2", accepted="1,2")
    assert await new.read(await old.create(session)) == session
    with pytest.raises(UnauthorizedError):
        await old.read(await new.create(session))
    with pytest.raises(UnauthorizedError):
        await _store(signing="2").read(await old.create(session))


@pytest.mark.parametrize("wrong", [{"signing": "x"}, {"accepted": "x"}, {"accepted": "1,"}])
def test_a_key_without_a_number_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        _store(**wrong)


def test_replicas_of_one_secret_share_their_keys_and_those_of_split_keys_do_not() -> None:
    assert Keyring("s").signing == Keyring("s").signing
    assert Keyring("s", "r0").signing != Keyring("s", "r1").signing
