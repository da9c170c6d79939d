import time

import pytest

from harness.common.errors import UsageError
from harness.load.http.client import Client
from harness.load.http.event_loop import Connection, EventLoop, Failure
from harness.load.http.target import Target
from harness.load.http.wire import Encoder, Response
from tests.support.load import CLOSE, HANG, RESET, Rig, Scripted, header, reply, scripted

SECOND = 1_000_000_000


class Asker:
    """Sends one request after another by one lane."""

    def __init__(self, rig: Rig, timeout: float = 5.0) -> None:
        self.rig = rig
        self.lane = Connection(rig.event_loop, self, round(timeout * SECOND))
        self.told: list[Response | Failure] = []

    def ask(self, method: str = "GET", repeatable: bool = True, size: int = 0) -> Response | Failure:
        request = Client(1).request(method, "/", data=b"x" * size or None)
        self.lane.probe()
        before = len(self.told)
        self.lane.send(Encoder("h").encode(request, b""), method, repeatable, time.monotonic_ns())
        self.rig.until(lambda: len(self.told) > before)
        return self.told[-1]

    def on_response(self, reply: Response, t_end: int) -> None:
        self.told.append(reply)

    def on_failure(self, failure: Failure, t_end: int) -> None:
        self.told.append(failure)


def status(told: Response | Failure) -> int:
    assert isinstance(told, Response), told
    return told.status


@pytest.fixture
def server(request: pytest.FixtureRequest) -> object:
    with scripted(*getattr(request, "param", ())) as one:
        yield one


def test_one_connection_is_kept_for_all_requests(server: Scripted) -> None:
    asker = Asker(Rig(server.url))
    assert [status(asker.ask()) for _ in range(5)] == [200] * 5
    assert server.connections == 1 and asker.lane.reconnected == 0


@pytest.mark.parametrize("server", [[reply(headers={"Connection": "close"})]], indirect=True)
def test_connection_close_is_obeyed(server: Scripted) -> None:
    asker = Asker(Rig(server.url))
    assert [status(asker.ask()) for _ in range(2)] == [200, 200]
    assert server.connections == 2 and asker.lane.attempts == 1


@pytest.mark.parametrize("server", [[(reply(), CLOSE)]], indirect=True)
def test_a_close_seen_while_idle_is_no_failure_even_of_a_write(server: Scripted) -> None:
    asker = Asker(Rig(server.url))
    asker.ask()
    time.sleep(0.05)  # the end of the connection arrives; nobody has turned the engine since
    assert status(asker.ask("POST", repeatable=False)) == 200
    assert (asker.lane.reconnected, asker.lane.attempts) == (1, 1)
    assert len(server.requests) == 2


@pytest.mark.parametrize("server", [[reply(), CLOSE]], indirect=True)
def test_a_kept_connection_lost_under_a_read_is_asked_once_more(server: Scripted) -> None:
    asker = Asker(Rig(server.url))
    asker.ask()
    assert status(asker.ask()) == 200
    assert (asker.lane.attempts, asker.lane.reconnected, len(server.requests)) == (2, 1, 3)


@pytest.mark.parametrize("server", [[reply(), RESET]], indirect=True)
def test_a_kept_connection_lost_under_a_write_is_not_asked_again(server: Scripted) -> None:
    asker = Asker(Rig(server.url))
    asker.ask()
    assert asker.ask("POST", repeatable=False) is Failure.RESET
    assert asker.lane.sent > 0 and len(server.requests) == 2


@pytest.mark.parametrize("server", [[reply(), CLOSE, CLOSE]], indirect=True)
def test_a_read_is_asked_twice_at_most(server: Scripted) -> None:
    asker = Asker(Rig(server.url))
    asker.ask()
    assert asker.ask() is Failure.RESET
    assert len(server.requests) == 3


@pytest.mark.parametrize("server", [[CLOSE]], indirect=True)
def test_a_fresh_connection_lost_under_a_read_is_not_asked_again(server: Scripted) -> None:
    assert Asker(Rig(server.url)).ask() is Failure.RESET
    assert len(server.requests) == 1


@pytest.mark.parametrize("server", [[HANG]], indirect=True)
def test_time_is_up_and_the_next_request_goes_by_another_connection(server: Scripted) -> None:
    asker = Asker(Rig(server.url), timeout=0.1)
    begin = time.monotonic()
    assert asker.ask() is Failure.TIMED_OUT
    assert time.monotonic() - begin >= 0.1
    assert status(asker.ask()) == 200 and server.connections == 2


def test_a_timeout_counts_from_its_own_request(server: Scripted) -> None:
    asker = Asker(Rig(server.url), timeout=0.2)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert status(asker.ask()) == 200
        time.sleep(0.02)


def test_a_large_request_and_a_large_reply_come_through() -> None:
    body = b"y" * 3_000_000
    with scripted(reply(body=body)) as server:
        asker = Asker(Rig(server.url))
        told = asker.ask("POST", repeatable=False, size=5_000_000)
    assert isinstance(told, Response) and told.body == body
    assert header(server.requests[0], "Content-Length") == "5000000" and len(server.requests[0]) > 5_000_000
    assert asker.lane.sent == len(server.requests[0])


def test_in_flight_returns_to_nought(server: Scripted) -> None:
    rig = Rig(server.url)
    asker = Asker(rig)
    asker.ask()
    asker.lane.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
    assert rig.event_loop.in_flight == 1
    rig.until(lambda: len(asker.told) == 2)
    assert rig.event_loop.in_flight == 0


def test_what_a_turn_asks_for_is_sent_in_one_burst_after_all_that_it_reads(server: Scripted) -> None:
    rig = Rig(server.url)

    class Eager(Asker):
        read_at = 0

        def on_response(self, reply: Response, t_end: int) -> None:
            super().on_response(reply, t_end)
            if len(self.told) == 2:
                self.read_at = t_end
                self.lane.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, t_end)

    two = [Eager(rig), Eager(rig)]
    for one in two:
        one.ask()
    for one in two:
        one.lane.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
    rig.event_loop.run_once()
    time.sleep(0.1)  # both replies are there
    rig.event_loop.run_once()
    assert [len(one.told) for one in two] == [2, 2] and rig.event_loop.in_flight == 2
    assert max(one.read_at for one in two) <= min(one.lane.t_sent for one in two)
    rig.until(lambda: all(len(one.told) == 3 for one in two))


def test_an_exchange_abandoned_before_the_burst_is_never_sent(server: Scripted) -> None:
    rig = Rig(server.url)
    asker = Asker(rig)
    asker.ask()
    asker.lane.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
    asker.lane.abandon(time.monotonic_ns())
    rig.event_loop.run_once()
    assert asker.told[1:] == [Failure.TIMED_OUT] and asker.lane.sent == 0 and rig.event_loop.in_flight == 0
    assert len(server.requests) == 1


def test_an_abandoned_exchange_ends_as_timed_out() -> None:
    with scripted(HANG) as server:
        rig = Rig(server.url)
        asker = Asker(rig)
        asker.lane.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
        rig.until(lambda: asker.lane.sent > 0)
        asker.lane.abandon(time.monotonic_ns())
    assert asker.told == [Failure.TIMED_OUT] and rig.event_loop.in_flight == 0


def test_timers_fire_in_order_and_not_before_their_time() -> None:
    engine, fired = EventLoop(), []
    begin = time.monotonic_ns()
    for wait in (30, 10, 20):
        engine.call_at(begin + wait * 1_000_000, lambda now, wait=wait: fired.append((wait, now - begin)))  # type: ignore[misc]
    while len(fired) < 3:
        engine.run_once()
    assert [wait for wait, _ in fired] == [10, 20, 30]
    assert all(at >= wait * 1_000_000 for wait, at in fired)


def test_a_timer_set_by_a_timer_waits_for_the_next_turn() -> None:
    engine, fired = EventLoop(), []

    def again(now: int) -> None:
        fired.append(now)
        engine.call_at(0, again)

    engine.call_at(0, again)
    engine.run_once()
    assert len(fired) == 1


def test_many_lanes_share_one_engine() -> None:
    with scripted() as server:
        rig = Rig(server.url)
        askers = [Asker(rig) for _ in range(60)]
        for asker in askers:
            asker.lane.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
        rig.until(lambda: all(asker.told for asker in askers))
        assert all(status(asker.told[0]) == 200 for asker in askers)
        rig.close()


@pytest.mark.parametrize("url", ["https://h", "127.0.0.1:80", "", "http://no-such-host.invalid"])
def test_a_url_that_cannot_be_loaded_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Target.from_url(url)


def test_a_host_keeps_its_port_and_may_be_ipv6() -> None:
    assert Target.from_url("http://127.0.0.1:8080/").host == "127.0.0.1:8080"
    assert Target.from_url("http://[::1]:80").address[0] == "::1"
