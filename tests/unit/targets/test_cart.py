import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from targets.apps import cart
from targets.common.session import SessionState, WriterTally, token
from targets.common.settings import Options, Settings
from targets.http import request_fields
from targets.http.errors import ConflictError, UnauthorizedError, UnavailableError
from targets.http.keys import Keyring
from targets.state import SessionStore
from targets.state.memory import Memory
from targets.state.token import Token
from targets.storage.journal import Journal
from tests.support.served_target import SETTINGS, Client, client_of, run_server

OPS = [f"{n:016x}" for n in range(1, 9)]
STORES: dict[str, Callable[[], SessionStore]] = {"memory": Memory, "token": lambda: Token(Keyring("s"))}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> SessionStore:
    return STORES[request.param]()


async def test_a_first_read_makes_a_session(store: SessionStore) -> None:
    async with client_of(cart, store) as client:
        reply = await client.get("/cart")
        assert reply.status == 200
        assert reply.session | {"birth": ""} == {
            "birth": "",
            "owner": "u17",
            "count": 0,
            "last": "",
            "digest": "0000000000000000",
        }
        assert len(reply.session["birth"]) == 16
        made = reply.headers["Set-Cookie"]
        assert made.startswith("session=")
        assert made.endswith("; HttpOnly; Path=/")


async def test_a_read_does_not_set_the_cookie_again(store: SessionStore) -> None:
    async with client_of(cart, store) as client:
        first = await client.get("/cart")
        second = await client.get("/cart")
        assert "Set-Cookie" not in second.headers
        assert second.session == first.session


async def test_writes_are_counted_and_digested(store: SessionStore) -> None:
    async with client_of(cart, store) as client:
        for n, op in enumerate(OPS, 1):
            written = await client.post("/cart/add", {"item": "tea"}, op=op)
            read = await client.get("/cart")
            assert written.body == read.body
            assert (read.session["count"], read.session["last"]) == (n, op)
            assert int(read.session["digest"], 16) == sum(map(token, OPS[:n])) % 2**64
            assert read.body["items"] == {"tea": n}


async def test_items_are_added_and_removed(store: SessionStore) -> None:
    async with client_of(cart, store) as client:
        await client.post("/cart/add", {"item": "tea", "quantity": 3})
        await client.post("/cart/add", {"item": "milk"})
        reply = await client.post("/cart/remove", {"item": "tea"})
        assert reply.body["items"] == {"milk": 1}
        absent = await client.post("/cart/remove", {"item": "coffee"})
        assert absent.session["count"] == 4


async def test_writers_of_one_session_are_counted_separately(store: SessionStore) -> None:
    async with client_of(cart, store) as client:
        await client.post("/cart/add", {"item": "tea"}, op=OPS[0], X_Writer="1")
        await client.post("/cart/add", {"item": "tea"}, op=OPS[1], X_Writer="2")
        await client.post("/cart/add", {"item": "tea"}, op=OPS[2], X_Writer="2")
        one, two, none = [await client.get("/cart", X_Writer=writer) for writer in "123"]
        assert [(r.session["count"], r.session["last"]) for r in (one, two, none)] == [
            (1, OPS[0]),
            (2, OPS[2]),
            (0, ""),
        ]
        assert one.session["birth"] == two.session["birth"]


async def test_an_owner_is_set_once(store: SessionStore) -> None:
    async with client_of(cart, store) as client:
        await client.get("/cart")
        assert (await client.get("/cart", X_User="another")).session["owner"] == "u17"


async def test_an_unknown_session_is_replaced_by_a_new_one() -> None:
    async with client_of(cart, Memory()) as client:
        births = {(await client.get("/cart")).session["birth"]}
        client.forget()
        births.add((await client.get("/cart", Cookie="session=" + "0" * 32)).session["birth"])
        client.forget()
        reply = await client.post("/cart/add", {"item": "tea"}, Cookie="session=" + "0" * 32)
        births.add(reply.session["birth"])
        assert len(births) == 3
        assert reply.session["count"] == 1
        assert reply.headers["Set-Cookie"].startswith("session=")
        assert "0" * 32 not in reply.headers["Set-Cookie"]


async def test_the_session_cookie_is_found_among_others() -> None:
    memory = Memory()
    handle = await memory.create(SessionState("b1", "u1"))
    async with client_of(cart, memory) as client:
        reply = await client.get("/cart", Cookie=f"SRV=r1; xsession=no; session={handle}; z=1")
        assert reply.session["birth"] == "b1"


@pytest.mark.parametrize(
    ("header", "handle"),
    [("", ""), ("a=b", ""), ("session=x", "x"), ("a=session; session=y; b", "y"), ("session=\u00e9", "")],
)
def test_the_handle_is_read_from_the_cookie_header(header: str, handle: str) -> None:
    assert request_fields.cookie(make_mocked_request("GET", "/", {"Cookie": header})) == handle


async def test_concurrent_writers_in_memory_lose_nothing() -> None:
    async with run_server(cart, Memory()) as server:
        client = Client(server)
        await client.get("/cart")
        await asyncio.gather(*(client.post("/cart/add", {"item": "tea"}, X_Writer=str(n % 4)) for n in range(40)))
        counts = [(await client.get("/cart", X_Writer=str(n))).session["count"] for n in range(4)]
        assert counts == [10, 10, 10, 10]
        await client.http.close()


@pytest.mark.parametrize(("dedupe", "count"), [("no", 2), ("yes", 1)])
async def test_a_repeated_operation_is_dropped_only_with_dedupe(tmp_path: Path, dedupe: str, count: int) -> None:
    settings = Settings("r7", "b00", options=Options({"dedupe": dedupe}))
    journal = Journal(tmp_path / "journal", settings)
    async with client_of(cart, Memory(), settings=settings, journal=journal) as client:
        await client.post("/cart/add", {"item": "tea"}, op=OPS[0])
        again = await client.post("/cart/add", {"item": "tea"}, op=OPS[0])
        assert again.session["count"] == count
        assert again.body["items"] == {"tea": count}
        for _ in range(2):
            assert (await client.post("/checkout", op=OPS[1])).session["count"] in (count + 1, count + 2)
    journal.close()
    assert len((tmp_path / "journal").read_text().splitlines()) == count


async def test_a_checkout_empties_the_cart_and_is_journalled(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", SETTINGS)
    async with client_of(cart, Memory(), journal=journal) as client:
        await client.post("/cart/add", {"item": "tea"})
        reply = await client.post("/checkout", op=OPS[5])
        assert reply.body["items"] == {}
        assert (reply.session["count"], reply.session["last"]) == (2, OPS[5])
    journal.close()
    line = json.loads((tmp_path / "journal").read_text())
    assert line.pop("t") > 0
    birth = reply.session["birth"]
    assert line == {"op": OPS[5], "effect": "checkout", "birth": birth, "replica": "r7", "boot": "b00"}


class Broken(Memory):
    """Known sessions, whose reads and writes meet a problem."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem = problem

    async def write(self, handle: str, session: SessionState) -> str:
        raise self.problem


@pytest.mark.parametrize(
    ("problem", "status", "wait"),
    [
        (ConflictError("c"), 409, None),
        (UnavailableError("u"), 503, "1"),
        (UnauthorizedError("r"), 401, None),
        (ZeroDivisionError(), 500, None),
    ],
)
async def test_a_failed_write_is_reported_and_has_no_effect(
    tmp_path: Path, problem: Exception, status: int, wait: str | None
) -> None:
    journal = Journal(tmp_path / "journal", SETTINGS)
    async with client_of(cart, Broken(problem), journal=journal) as client:
        await client.get("/cart")
        reply = await client.post("/checkout")
        assert (reply.status, reply.headers.get("Retry-After")) == (status, wait)
        assert reply.body["error"]
        assert (reply.headers["X-Replica"], reply.headers["X-Boot"]) == ("r7", "b00")
        assert "Set-Cookie" not in reply.headers
    assert (tmp_path / "journal").read_text() == ""
    journal.close()


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"", b"\xff", b"[1]", b"{}", b'{"item": 3}', b'{"item": ""}', b'{"item": "t", "quantity": 0}'),
        *(b'{"item": "t", "quantity": true}', b'{"item": "t", "quantity": 1.5}', b'{"item": "t", "quantity": 1001}'),
    ],
)
async def test_a_wrong_body_is_refused_and_not_applied(body: bytes) -> None:
    async with client_of(cart, Memory()) as client:
        await client.get("/cart")
        reply = await client.post("/cart/add", body)
        assert reply.status == 400
        assert reply.body["error"]
        assert (await client.get("/cart")).session["count"] == 0


@pytest.mark.parametrize("header", [{"op": "xyz"}, {"op": "0" * 17}, {"X_Writer": "one"}, {"X_Writer": ""}])
async def test_a_wrong_header_is_refused(header: dict[str, str]) -> None:
    async with client_of(cart, Memory()) as client:
        assert (await client.post("/cart/add", {"item": "tea"}, **header)).status == 400


async def test_a_token_of_another_key_is_refused() -> None:
    stranger = await Token(Keyring("other")).create(SessionState.new("u1"))
    async with client_of(cart, Token(Keyring("s"))) as client:
        reply = await client.get("/cart", Cookie=f"session={stranger}")
        assert reply.status == 401
        assert "Set-Cookie" not in reply.headers


async def test_a_token_too_large_for_a_cookie_is_still_sent() -> None:
    async with client_of(cart, Token(Keyring("s"))) as client:
        cookie = ""
        for n in range(1, 61):
            client.forget()  # this client drops what is too large, as browsers do
            reply = await client.post("/cart/add", {"item": f"{n}".rjust(60, "x")}, Cookie=cookie)
            assert reply.session["count"] == n
            cookie = reply.headers["Set-Cookie"].partition(";")[0]
        assert len(cookie) > 4096


def test_a_tally_wraps_at_64_bits() -> None:
    tally = WriterTally(1, "", 2**64 - 1).plus(OPS[0])
    assert tally.digest == token(OPS[0]) - 1


def test_a_session_survives_json() -> None:
    session = SessionState("b", "u").with_write("0", OPS[0], {"tea": 1}).with_write("1", OPS[1], {}).with_recent(OPS[1])
    assert SessionState.from_json(session.to_json()) == session


def test_a_token_of_an_operation_is_that_of_the_wire() -> None:
    assert token("00c0ffee00c0ffee") == 0x61B0226503BAB060
