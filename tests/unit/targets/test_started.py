"""Services started for real, as the harness and users start them."""

import concurrent.futures
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from targets.server.service import GRACE_S

pytestmark = pytest.mark.slow
DEADLINE = 20


@dataclass
class RunningService:
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.ready["port"], timeout=DEADLINE)

    def get(self, path: str) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]  # kept beside the headers for the tests
        connection.close()
        return response

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


@contextmanager
def running_service(*flags: str) -> Iterator[RunningService]:
    command = [sys.executable, "-m", "targets", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield RunningService(process, json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_ready_line_agrees_with_the_replies() -> None:
    with running_service("--app", "cart", "--state", "memory", "--replica", "r3", "--nonce", "n1") as service:
        assert set(service.ready) == {"ready", "port", "replica", "boot"}
        assert service.ready["ready"] is True
        response = service.get("/healthz")
        assert response.status == 200
        assert response.headers["X-Boot"] == service.ready["boot"]
        health = json.loads(response.body)  # type: ignore[attr-defined]  # set by get
        assert health.pop("opened_s") > 0
        assert health == {"status": "ok", "nonce": "n1", "replica": "r3", "boot": service.ready["boot"]}


def test_a_restart_on_the_same_port_has_another_boot() -> None:
    with running_service("--app", "echo", "--state", "none") as first:
        port = str(first.ready["port"])
        with running_service(
            "--app", "echo", "--state", "none", "--port", port
        ) as second:  # SO_REUSEPORT takes it over
            assert second.ready["port"] == first.ready["port"]
            assert second.ready["boot"] != first.ready["boot"]
            assert first.stop() == 0
            assert second.get("/healthz").headers["X-Boot"] == second.ready["boot"]


def _begin_requests(idle: http.client.HTTPConnection, *connections: http.client.HTTPConnection) -> None:
    """Return when a request is in flight on each of the connections: the service has read all that came before."""
    for connection in (idle, *connections):
        _check_health(connection)
    for connection in connections:
        connection.request("GET", "/")
    _check_health(idle)


def _check_health(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/healthz")
    assert connection.getresponse().read()


def test_sigterm_finishes_requests_in_flight_and_exits_0() -> None:
    with running_service("--app", "echo", "--state", "none", "--service-time", "400ms", "--slots", "2") as service:
        idle, one, two = service.connect(), service.connect(), service.connect()
        _begin_requests(idle, one, two)
        service.process.send_signal(signal.SIGTERM)
        replies = [connection.getresponse() for connection in (one, two)]
        assert [reply.status for reply in replies] == [200, 200]
        assert [reply.headers["Connection"] for reply in replies] == ["close", "close"]
        assert service.process.wait(DEADLINE) == 0
        with pytest.raises(ConnectionRefusedError):
            service.get("/healthz")
        for connection in (idle, one, two):
            connection.close()


def test_sigterm_waits_no_longer_than_the_grace_period() -> None:
    with running_service("--app", "echo", "--state", "none", "--service-time", "1h") as service:
        idle, stuck = service.connect(), service.connect()
        _begin_requests(idle, stuck)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(1.6 * GRACE_S) == 0
        idle.close()
        stuck.close()


def test_the_answer_to_a_malformed_request_names_the_replica() -> None:
    with running_service("--app", "echo", "--state", "none") as service:
        connection = service.connect()
        connection.connect()
        connection.sock.sendall(b"NO SUCH\r\n\r\n")
        reply = http.client.HTTPResponse(connection.sock)
        reply.begin()
        assert reply.status == 400
        assert reply.headers["X-Boot"] == service.ready["boot"]
        reply.close()
        connection.close()


def _served_within(service: RunningService, seconds: float) -> int:
    until = time.monotonic() + seconds

    def ask() -> int:
        connection, answered = service.connect(), 0
        while time.monotonic() < until:
            connection.request("GET", "/")
            connection.getresponse().read()
            answered += time.monotonic() < until
        connection.close()
        return answered

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        return sum(future.result() for future in [pool.submit(ask) for _ in range(12)])


def test_the_capacity_is_slots_over_service_time() -> None:
    served = []
    for time_, slots in (("20ms", "1"), ("20ms", "4"), ("40ms", "4")):
        with running_service("--app", "echo", "--state", "none", "--service-time", time_, "--slots", slots) as service:
            served.append(max(_served_within(service, 0.6) for _ in range(4)))  # the least disturbed window
    assert 3.4 < served[1] / served[0] < 4.6
    assert 1.7 < served[1] / served[2] < 2.3


def test_an_unusable_address_is_reported_in_one_line() -> None:
    with running_service("--app", "echo", "--state", "none") as service:
        port = str(service.ready["port"])
        command = [sys.executable, "-m", "targets", "--app", "echo", "--state", "none", "--host", "192.0.2.1"]
        ended = subprocess.run(
            [*command, "--port", port], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"error: cannot listen on 192.0.2.1:{port}: ")
    assert ended.stderr.count("\n") == 1


async def test_sigterm_closes_open_websockets_at_once_and_exits_0() -> None:
    with running_service("--app", "chat", "--state", "memory") as service:
        address = f"http://127.0.0.1:{service.ready['port']}/chat"
        async with aiohttp.ClientSession() as http, http.ws_connect(address) as socket:
            service.process.send_signal(signal.SIGTERM)
            assert (await socket.receive(DEADLINE)).data == aiohttp.WSCloseCode.GOING_AWAY
        assert service.process.wait(DEADLINE) == 0


def test_a_coordinator_that_kills_itself_resumes_its_order_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    kept = ["--volume", str(tmp_path / "volume"), "--journal", str(tmp_path / "journal"), "--option", "die_at=pay"]
    flags = ["--app", "saga", "--state", "eventlog", *kept]
    with running_service(*flags) as service:
        connection = service.connect()
        connection.request("POST", "/order", json.dumps({"item": "tea"}))
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        assert service.process.wait(DEADLINE) == -signal.SIGKILL
    with running_service(*flags) as service:
        lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
        assert [line["effect"] for line in lines] == ["reserve", "pay", "ship"]
        assert lines[2]["boot"] == service.ready["boot"] != lines[0]["boot"]
