import time

import pytest

from harness.common.errors import UsageError
from harness.load.http.client import Client
from harness.load.http.event_loop import Connection, EventLoop, Failure
from harness.load.http.target import Target
from harness.load.http.wire import Encoder, Response
from tests.support.load import CLOSE, HANG, RESET, Rig, Scripted, header, reply, scripted

SECOND = 1_000_000_000


class Sender:
    """Sends one request after another on one connection."""

    def __init__(self, rig: Rig, timeout: float = 5.0) -> None:
        self.rig = rig
        self.connection = Connection(rig.event_loop, self, round(timeout * SECOND))
        self.results: list[Response | Failure] = []
        self.heads: list[int] = []

    def send(self, method: str = "GET", repeatable: bool = True, size: int = 0) -> Response | Failure:
        request = Client(1).request(method, "/", data=b"x" * size or None)
        self.connection.probe()
        before = len(self.results)
        self.connection.send(Encoder("h").encode(request, b""), method, repeatable, time.monotonic_ns())
        self.rig.until(lambda: len(self.results) > before)
        return self.results[-1]

    def on_response(self, reply: Response, t_end: int) -> None:
        self.results.append(reply)

    def on_head(self, reply: Response, now: int) -> None:
        self.heads.append(reply.status)

    def on_failure(self, failure: Failure, t_end: int) -> None:
        self.results.append(failure)


def status(result: Response | Failure) -> int:
    assert isinstance(result, Response), result
    return result.status


@pytest.fixture
def server(request: pytest.FixtureRequest) -> object:
    with scripted(*getattr(request, "param", ())) as scripted_server:
        yield scripted_server


def test_one_connection_is_kept_for_all_requests(server: Scripted) -> None:
    sender = Sender(Rig(server.url))
    assert [status(sender.send()) for _ in range(5)] == [200] * 5
    assert server.connections == 1 and sender.connection.reconnected == 0


@pytest.mark.parametrize("server", [[reply(headers={"Connection": "close"})]], indirect=True)
def test_connection_close_is_obeyed(server: Scripted) -> None:
    sender = Sender(Rig(server.url))
    assert [status(sender.send()) for _ in range(2)] == [200, 200]
    assert server.connections == 2 and sender.connection.attempts == 1


@pytest.mark.parametrize("server", [[(reply(), CLOSE)]], indirect=True)
def test_a_close_while_idle_fails_no_request_not_even_a_write(server: Scripted) -> None:
    sender = Sender(Rig(server.url))
    sender.send()
    time.sleep(0.05)  # the end of the connection arrives, but the event loop has not run since
    assert status(sender.send("POST", repeatable=False)) == 200
    assert (sender.connection.reconnected, sender.connection.attempts) == (1, 1)
    assert len(server.requests) == 2


@pytest.mark.parametrize("server", [[reply(), CLOSE]], indirect=True)
def test_a_kept_connection_lost_during_a_read_is_retried_once(server: Scripted) -> None:
    sender = Sender(Rig(server.url))
    sender.send()
    assert status(sender.send()) == 200
    assert (sender.connection.attempts, sender.connection.reconnected, len(server.requests)) == (2, 1, 3)


@pytest.mark.parametrize("server", [[reply(), RESET]], indirect=True)
def test_a_kept_connection_lost_during_a_write_is_not_retried(server: Scripted) -> None:
    sender = Sender(Rig(server.url))
    sender.send()
    assert sender.send("POST", repeatable=False) is Failure.RESET
    assert sender.connection.sent > 0 and len(server.requests) == 2


@pytest.mark.parametrize("server", [[reply(), CLOSE, CLOSE]], indirect=True)
def test_a_read_is_sent_at_most_twice(server: Scripted) -> None:
    sender = Sender(Rig(server.url))
    sender.send()
    assert sender.send() is Failure.RESET
    assert len(server.requests) == 3


@pytest.mark.parametrize("server", [[CLOSE]], indirect=True)
def test_a_fresh_connection_lost_during_a_read_is_not_retried(server: Scripted) -> None:
    assert Sender(Rig(server.url)).send() is Failure.RESET
    assert len(server.requests) == 1


@pytest.mark.parametrize("server", [[HANG]], indirect=True)
def test_after_a_timeout_the_next_request_uses_another_connection(server: Scripted) -> None:
    sender = Sender(Rig(server.url), timeout=0.1)
    begin = time.monotonic()
    assert sender.send() is Failure.TIMED_OUT
    assert time.monotonic() - begin >= 0.1
    assert status(sender.send()) == 200 and server.connections == 2


def test_a_timeout_counts_from_its_own_request(server: Scripted) -> None:
    sender = Sender(Rig(server.url), timeout=0.2)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert status(sender.send()) == 200
        time.sleep(0.02)


def test_large_requests_and_responses_are_transferred_completely() -> None:
    body = b"y" * 3_000_000
    with scripted(reply(body=body)) as server:
        sender = Sender(Rig(server.url))
        result = sender.send("POST", repeatable=False, size=5_000_000)
    assert isinstance(result, Response) and result.body == body
    assert header(server.requests[0], "Content-Length") == "5000000" and len(server.requests[0]) > 5_000_000
    assert sender.connection.sent == len(server.requests[0])


def test_in_flight_returns_to_zero(server: Scripted) -> None:
    rig = Rig(server.url)
    sender = Sender(rig)
    sender.send()
    sender.connection.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
    assert rig.event_loop.in_flight == 1
    rig.until(lambda: len(sender.results) == 2)
    assert rig.event_loop.in_flight == 0


def test_requests_of_one_turn_are_sent_in_one_burst_after_all_responses_are_read(server: Scripted) -> None:
    rig = Rig(server.url)

    class Eager(Sender):
        read_at = 0

        def on_response(self, reply: Response, t_end: int) -> None:
            super().on_response(reply, t_end)
            if len(self.results) == 2:
                self.read_at = t_end
                self.connection.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, t_end)

    senders = [Eager(rig), Eager(rig)]
    for sender in senders:
        sender.send()
    for sender in senders:
        sender.connection.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
    rig.event_loop.run_once()
    time.sleep(0.1)  # both replies are there
    rig.event_loop.run_once()
    assert [len(sender.results) for sender in senders] == [2, 2] and rig.event_loop.in_flight == 2
    assert max(sender.read_at for sender in senders) <= min(sender.connection.t_sent for sender in senders)
    rig.until(lambda: all(len(sender.results) == 3 for sender in senders))


def test_an_exchange_abandoned_before_the_burst_is_never_sent(server: Scripted) -> None:
    rig = Rig(server.url)
    sender = Sender(rig)
    sender.send()
    sender.connection.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
    sender.connection.abandon(time.monotonic_ns())
    rig.event_loop.run_once()
    assert sender.results[1:] == [Failure.TIMED_OUT] and sender.connection.sent == 0 and rig.event_loop.in_flight == 0
    assert len(server.requests) == 1


def test_an_abandoned_exchange_ends_as_timed_out() -> None:
    with scripted(HANG) as server:
        rig = Rig(server.url)
        sender = Sender(rig)
        sender.connection.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
        rig.until(lambda: sender.connection.sent > 0)
        sender.connection.abandon(time.monotonic_ns())
    assert sender.results == [Failure.TIMED_OUT] and rig.event_loop.in_flight == 0


def test_timers_fire_in_order_and_not_before_their_time() -> None:
    event_loop, fired = EventLoop(), []
    begin = time.monotonic_ns()
    for wait in (30, 10, 20):
        event_loop.call_at(begin + wait * 1_000_000, lambda now, wait=wait: fired.append((wait, now - begin)))  # type: ignore[misc]
    while len(fired) < 3:
        event_loop.run_once()
    assert [wait for wait, _ in fired] == [10, 20, 30]
    assert all(at >= wait * 1_000_000 for wait, at in fired)


def test_a_timer_set_by_a_timer_waits_for_the_next_turn() -> None:
    event_loop, fired = EventLoop(), []

    def again(now: int) -> None:
        fired.append(now)
        event_loop.call_at(0, again)

    event_loop.call_at(0, again)
    event_loop.run_once()
    assert len(fired) == 1


def test_many_connections_share_one_event_loop() -> None:
    with scripted() as server:
        rig = Rig(server.url)
        senders = [Sender(rig) for _ in range(60)]
        for sender in senders:
            sender.connection.send(b"GET / HTTP/1.1\r\n\r\n", "GET", True, time.monotonic_ns())
        rig.until(lambda: all(sender.results for sender in senders))
        assert all(status(sender.results[0]) == 200 for sender in senders)
        rig.close()


@pytest.mark.parametrize("url", ["https://h", "127.0.0.1:80", "", "http://no-such-host.invalid"])
def test_a_url_that_cannot_be_loaded_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Target.from_url(url)


def test_a_host_keeps_its_port_and_may_be_ipv6() -> None:
    assert Target.from_url("http://127.0.0.1:8080/").host == "127.0.0.1:8080"
    assert Target.from_url("http://[::1]:80").address[0] == "::1"
