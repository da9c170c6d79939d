import json
import zlib
from pathlib import Path

import pytest

from targets.apps import echo, orders
from targets.common.session import hex64, token
from targets.state.none import NullStore
from targets.storage.journal import Journal
from tests.support.served_target import SETTINGS, client_of

OP = "00c0ffee00c0ffee"


@pytest.mark.parametrize("product", [7, "tea"])
async def test_an_order_can_be_checked_from_its_request(tmp_path: Path, product: int | str) -> None:
    journal = Journal(tmp_path / "journal", SETTINGS)
    async with client_of(orders, NullStore(), journal=journal) as client:
        asked = {"user_id": "u1", "product_id": product, "quantity": 3}
        reply = await client.post("/order", asked, op=OP)
        unit = 100 + zlib.crc32(str(product).encode()) % 9900
        assert reply.body == {"order": {**asked, "id": hex64(token(OP)), "total_cents": 3 * unit}}
        assert "Set-Cookie" not in reply.headers
    journal.close()
    line = json.loads((tmp_path / "journal").read_text())
    assert (line["op"], line["effect"], line["birth"]) == (OP, "order", "")


async def test_an_order_placed_twice_is_journalled_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", SETTINGS)
    async with client_of(orders, NullStore(), journal=journal) as client:
        for _ in range(2):
            await client.post("/order", {"user_id": 1, "product_id": 2, "quantity": 3}, op=OP)
    journal.close()
    assert [json.loads(line)["op"] for line in (tmp_path / "journal").read_text().splitlines()] == [OP, OP]


@pytest.mark.parametrize(
    "wrong",
    [{"user_id": None}, {"user_id": ""}, {"user_id": True}, {"product_id": [1]}, {"quantity": 0}, {"quantity": "2"}],
)
async def test_a_wrong_order_is_refused_and_not_journalled(tmp_path: Path, wrong: dict[str, object]) -> None:
    journal = Journal(tmp_path / "journal", SETTINGS)
    async with client_of(orders, NullStore(), journal=journal) as client:
        reply = await client.post("/order", {"user_id": 1, "product_id": 2, "quantity": 3} | wrong)
        assert reply.status == 400
        assert next(iter(wrong)) in reply.body["error"]
    journal.close()
    assert (tmp_path / "journal").read_text() == ""


async def test_echo_answers() -> None:
    async with client_of(echo, NullStore()) as client:
        assert (await client.get("/")).body == {"echo": "ok"}
