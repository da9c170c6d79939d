"""Each bug as a client sees it that adds, reads, adds, reads ... and knows what was acknowledged."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from targets.apps import cart
from targets.common.session import token
from targets.state.faulty import BUGS, Bugs, Faulty
from targets.state.memory import Memory
from tests.support.served_target import Client, run_server

WRITES = 10
OWNERS = [f"u{n}" for n in range(12)]


@dataclass
class Seen:
    """What one client saw: its own writes, and the session after the read that followed each."""

    owner: str
    ops: list[str]
    shown: list[Any]
    reads: list[Any]
    stored: Any  # what the dump of the store has at the end
    truth: Any

    def behind(self) -> list[int]:
        """After each write, how many acknowledged writes the read lacked."""
        return [n - read["count"] for n, read in enumerate(self.reads, 1)]


async def _seen(bug: str, owner: str = "u1") -> Seen:
    async with run_server(cart, Faulty(Memory(), Bugs({bug: 1.0}))) as server:
        bystander, client = Client(server, "other"), Client(server, owner)
        await bystander.post("/cart/add", {"item": "milk"}, op="f" * 16)
        seen = Seen(owner, [], [], [], None, None)
        for n in range(1, WRITES + 1):
            seen.ops.append(f"{n:016x}")
            seen.shown.append((await client.post("/cart/add", {"item": "tea"}, op=seen.ops[-1])).session)
            seen.reads.append((await client.get("/cart")).session)
        truth = (await client.get("/truth")).body
        await bystander.http.close()
        await client.http.close()
    (seen.truth,) = [entry for entry in truth["sessions"] if entry["owner"] == owner]
    (seen.stored,) = [kept["writers"]["0"] for kept in truth["dump"].values() if kept["owner"] == owner]
    return seen


def _missing(seen: Seen) -> int:
    """The tokens that the last read lacks of what was acknowledged."""
    return (sum(map(token, seen.ops)) - int(seen.reads[-1]["digest"], 16)) % 2**64


def _strike(seen: Seen) -> int:
    """The first write after which a read was not as it should be."""
    wrong = [n for n, behind in enumerate(seen.behind(), 1) if behind or seen.reads[n - 1]["owner"] != seen.owner]
    return wrong[0]


def _whole(seen: Seen) -> bool:
    return {read["birth"] for read in seen.reads} == {seen.shown[0]["birth"]}


@pytest.mark.parametrize("owner", OWNERS)
async def test_drop_loses_one_write_for_good(owner: str) -> None:
    seen = await _seen("drop", owner)
    at = _strike(seen)
    assert 3 <= at <= 8
    assert seen.behind() == [0] * (at - 1) + [1] * (WRITES - at + 1)
    assert seen.shown[at - 1]["count"] == at
    assert _missing(seen) == token(seen.ops[at - 1])
    assert _whole(seen)


@pytest.mark.parametrize("owner", OWNERS)
async def test_duplicate_applies_one_write_twice(owner: str) -> None:
    seen = await _seen("duplicate", owner)
    at = _strike(seen)
    assert 3 <= at <= 8
    assert seen.behind() == [0] * (at - 1) + [-1] * (WRITES - at + 1)
    assert -_missing(seen) % 2**64 == token(seen.ops[at - 1])
    assert _whole(seen)


@pytest.mark.parametrize("owner", OWNERS)
async def test_stale_is_one_read_from_before_the_last_write(owner: str) -> None:
    seen = await _seen("stale", owner)
    at = _strike(seen)
    assert 3 <= at <= 8
    assert seen.behind() == [0] * (at - 1) + [1] + [0] * (WRITES - at)
    assert seen.reads[at - 1] == seen.shown[at - 2]
    assert _missing(seen) == 0
    assert _whole(seen)


@pytest.mark.parametrize("owner", OWNERS)
async def test_leak_is_one_read_of_another_owners_session(owner: str) -> None:
    seen = await _seen("leak", owner)
    at = _strike(seen)
    assert 3 <= at <= 8
    assert [read["owner"] for read in seen.reads] == [owner] * (at - 1) + ["other"] + [owner] * (WRITES - at)
    assert _missing(seen) == 0


@pytest.mark.parametrize("owner", OWNERS)
async def test_rollback_loses_several_writes_for_good_but_not_all(owner: str) -> None:
    seen = await _seen("rollback", owner)
    at = _strike(seen)
    assert 3 <= at <= 8
    depth = seen.behind()[at - 1]
    assert 2 <= depth < at
    assert seen.behind() == [0] * (at - 1) + [depth] * (WRITES - at + 1)
    assert _missing(seen) == sum(map(token, seen.ops[at - depth : at])) % 2**64
    assert _whole(seen)


@pytest.mark.parametrize("owner", OWNERS)
async def test_lose_starts_a_new_session(owner: str) -> None:
    seen = await _seen("lose", owner)
    at = _strike(seen)
    assert 3 <= at <= 8
    assert seen.behind() == [0] * (at - 1) + [at] * (WRITES - at + 1)
    births = [read["birth"] for read in seen.reads]
    assert len(set(births[: at - 1])) == len(set(births[at - 1 :])) == 1
    assert births[0] != births[-1]
    assert seen.truth["births"] == [births[0], births[-1]]


@pytest.mark.parametrize("bug", BUGS)
async def test_the_truth_names_the_bug_and_dumps_the_store(bug: str) -> None:
    seen = await _seen(bug)
    assert (seen.truth["bug"], seen.truth["struck"]) == (bug, True)
    assert seen.stored == {key: seen.reads[-1][key] for key in ("count", "last", "digest")}


async def test_without_bugs_nothing_is_wrong() -> None:
    async with run_server(cart, Faulty(Memory(), Bugs({}))) as server:
        client = Client(server)
        for n in range(1, WRITES + 1):
            await client.post("/cart/add", {"item": "tea"})
            assert (await client.get("/cart")).session["count"] == n
        (entry,) = (await client.get("/truth")).body["sessions"]
        assert (entry["bug"], entry["struck"]) == ("none", False)
        await client.http.close()


async def test_a_bug_does_not_strike_before_its_write() -> None:
    async with run_server(cart, Faulty(Memory(), Bugs({"drop": 1.0}))) as server:
        client = Client(server)
        await client.post("/cart/add", {"item": "tea"})
        assert (await client.get("/truth")).body["sessions"][0]["struck"] is False
        await client.http.close()


async def test_a_leak_waits_for_another_session() -> None:
    async with run_server(cart, Faulty(Memory(), Bugs({"leak": 1.0}))) as server:
        client = Client(server, "u1")
        for _ in range(8):
            await client.post("/cart/add", {"item": "tea"})
            assert (await client.get("/cart")).session["owner"] == "u1"
        other = Client(server, "u2")
        await other.get("/cart")
        assert (await client.get("/cart")).session["owner"] == "u2"
        assert (await client.get("/cart")).session["owner"] == "u1"
        await client.http.close()
        await other.http.close()


async def test_a_write_never_starts_from_a_stale_read() -> None:
    async with run_server(cart, Faulty(Memory(), Bugs({"stale": 1.0}))) as server:
        client = Client(server)
        for n in range(1, WRITES + 1):
            assert (await client.post("/cart/add", {"item": "tea"})).session["count"] == n
        counts = [(await client.get("/cart")).session["count"] for _ in range(3)]
        assert counts[1:] == [WRITES, WRITES]
        assert counts[0] == WRITES - 1
        await client.http.close()


def test_plans_are_the_same_for_the_same_seed_and_spread_by_the_rates() -> None:
    bugs = Bugs(dict.fromkeys(BUGS, 0.1), seed="7")
    plans = [bugs.plan(f"u{n}") for n in range(4000)]
    assert [bugs.plan(f"u{n}") for n in range(4000)] == plans
    assert [Bugs(bugs.rates, seed="8").plan(f"u{n}") for n in range(4000)] != plans
    counts = Counter(plan.bug for plan in plans)
    assert all(300 < counts[bug] < 500 for bug in BUGS)
    assert {plan.at for plan in plans} == {3, 4, 5, 6, 7, 8}
    assert all(2 <= plan.depth < plan.at for plan in plans)
