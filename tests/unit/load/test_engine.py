"""The engine's timers and a lane's connection, with a server that does as it is told."""

import time

import gevent
import pytest

from harness.errors import UsageError
from harness.load.client import Client, Pause
from harness.load.engine import MS, Engine
from harness.load.target import Target
from harness.observations import Outcome
from tests.unit.load.fakes import CLOSE, LINGER, Shelf, Steps, Visitor, drive, reply, scripted


def test_timers_fire_in_the_order_of_their_times_and_never_early() -> None:
    engine, fired = Engine(), []
    begin = time.monotonic_ns()

    def note(name: str, due: int) -> None:
        engine.at(due, lambda now: fired.append((name, now >= due)))

    note("second", begin + 20 * MS)
    note("first", begin + 5 * MS)
    note("past", begin - MS)
    engine.at(begin + 30 * MS, lambda now: engine.close())
    gevent.spawn(engine.run).get(timeout=5)
    assert fired == [("past", True), ("first", True), ("second", True)]


def test_a_timer_set_by_a_timer_for_now_waits_for_the_next_turn() -> None:
    engine, turns = Engine(), []

    def again(now: int) -> None:
        turns.append(now)
        if len(turns) < 3:
            engine.at(0, again)
        else:
            engine.close()

    engine.at(0, again)
    gevent.spawn(engine.run).get(timeout=5)
    assert len(turns) == 3


def test_other_greenlets_have_their_turn_while_the_engine_is_busy() -> None:
    engine, ticks = Engine(), []

    def busy(now: int) -> None:
        engine.at(0, busy)

    engine.at(0, busy)
    running = gevent.spawn(engine.run)
    for _ in range(5):
        gevent.sleep(0.001)
        ticks.append(time.monotonic())
    engine.close()
    running.get(timeout=5)
    assert len(ticks) == 5


def test_one_connection_carries_a_session_and_its_writes_are_seen() -> None:
    shelf = Shelf()

    def session(client: Client) -> Steps:
        for _ in range(3):
            yield client.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield client.get("/cart")

    with scripted(otherwise=shelf) as server:
        driven = drive(server.url, Visitor(session))
        assert server.connections == 1
    assert driven.outcomes == [Outcome.OK] * 6
    assert driven.records["anomaly"].tolist() == [0] * 6
    ops = driven.records["op"].tolist()
    assert ops[::2] == shelf.ops and ops[1::2] == [0, 0, 0]


def test_the_times_of_a_record_follow_one_another() -> None:
    with scripted() as server:
        records = drive(server.url, Visitor(lambda client: iter_gets(client, 3))).records
    for name, then in (("t_intended", "t_sent"), ("t_sent", "t_first"), ("t_first", "t_end")):
        assert (records[name] <= records[then]).all()


def iter_gets(client: Client, times: int) -> Steps:
    for _ in range(times):
        yield client.get("/cart")


def test_a_read_on_a_connection_that_has_ended_is_sent_again_and_a_write_is_not() -> None:
    def reads(client: Client) -> Steps:
        yield client.get("/cart")
        yield Pause(0.1)
        yield client.get("/cart")

    def writes(client: Client) -> Steps:
        yield client.get("/cart")
        yield client.post("/cart/add", writes="tea")

    with scripted((reply(), LINGER)) as server:
        driven = drive(server.url, Visitor(reads))
    assert driven.outcomes == [Outcome.OK, Outcome.OK]
    assert driven.records["reconnected"].tolist() == [0, 1]
    with scripted(reply(), CLOSE) as server:
        driven = drive(server.url, Visitor(writes))
    assert driven.outcomes == [Outcome.OK, Outcome.IN_DOUBT]


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://no.such.host.invalid"])
def test_what_is_no_url_to_load_is_told_to_a_person(url: str) -> None:
    with pytest.raises(UsageError):
        Target.of(url)


def test_many_connections_come_from_several_loopback_addresses_and_elsewhere_from_one() -> None:
    here = Target.of("http://127.0.0.1:80")
    sources = {here.source(connections) for connections in range(0, 50_000, 1000)}
    assert len(sources) == 5 and here.source(0) is None
    there = Target("x", here.family, ("192.0.2.1", 80))
    assert there.source(50_000) is None
