"""What Locust promises, kept where sessions are driven by the engine: by Locust's own command, without the harness."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.common.ports import Reservation
from tests.e2e.test_load import SHOPPERS, locust, shop
from tests.support.harness_command import ROOT
from tests.support.load import header, scripted

pytestmark = pytest.mark.slow

ENDLESS = """
from locust import constant
from harness.load.locustfiles.session_user import SessionUser

class Caller(SessionUser):
    wait_time = constant(0.04)

    def session(self, cart):
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")

    def final(self, cart):
        return cart.get("/cart")
"""
TIMED = """
import time
import gevent
from locust import events

@events.init.add_listener
def know(environment, **_):
    began.append(environment)

@events.test_start.add_listener
def begin(**_):
    began.append(time.monotonic())

@events.spawning_complete.add_listener
def done(user_count, **_):
    print(f"spawned {user_count} in {time.monotonic() - began[1]:.3f} s", flush=True)
    gevent.spawn_later(0.5, began[0].runner.quit)

began = []
"""
#: So many users until so many more requests have been counted; Locust looks once a second.
SHAPE = """
from locust import LoadTestShape

class Stages(LoadTestShape):
    stages = [(2, 20), (5, 40), (1, 12)]
    begun = 0

    def tick(self):
        done = self.runner.stats.total.num_requests
        if done - self.begun >= self.stages[0][1]:
            self.stages.pop(0)
            self.begun = done
        return (self.stages[0][0], 5) if self.stages else None
"""


def judged(out: str) -> list[int]:
    """How many sessions each process judged."""
    return [int(count) for count in re.findall(r"^Sessions: (\d+) judged", out, flags=re.MULTILINE)]


def parse_request_counts(output: str, name: str = "Aggregated") -> tuple[int, int]:
    """The number of requests in a row of Locust's table, and how many of them failed."""
    match = re.search(rf"^.* {name} +(\d+) +(\d+)\(", output, flags=re.MULTILINE)
    assert match is not None, output
    return int(match[1]), int(match[2])


@pytest.mark.alone
def test_users_are_spawned_at_the_rate_of_locust(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        ended = locust(tmp_path, server.url, "-u", "6", "-r", "2", text=ENDLESS + TIMED)
    match = re.search(r"spawned (\d+) in ([0-9.]+) s", ended.stdout)
    assert match is not None, ended.stderr
    assert int(match[1]) == 6 == judged(ended.stdout)[0], "one session per user"
    assert float(match[2]) > 1.0, "two at once, two after a second, two after another"


@pytest.mark.alone
def test_a_shape_decides_the_number_of_sessions_and_the_end_of_the_load(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        ended = locust(tmp_path, server.url, text=ENDLESS + SHAPE)
        writers = [header(request, "X-User") for request in server.requests if request.startswith(b"POST")]
    assert ended.returncode == 0, ended.stderr
    assert judged(ended.stdout) == [5] and "5 kept" in ended.stdout
    assert parse_request_counts(ended.stdout + ended.stderr) == (len(writers), 0)
    assert (len(set(writers[:10])), len(set(writers)), len(set(writers[-4:]))) == (2, 5, 1)


def test_locust_workers_have_separate_sessions_and_the_master_counts_them_all(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        ended = locust(tmp_path, server.url, "-u", "6", "-r", "6", "-t", "3s", "--processes", "2", text=SHOPPERS)
        received = len(server.requests)
        users = {header(request, "X-User") for request in server.requests}
        keys = [header(request, "Idempotency-Key") for request in server.requests if request.startswith(b"POST")]
    assert ended.returncode == 0, ended.stderr
    each = judged(ended.stdout)
    assert len(each) == 2 and sum(each) == len(users), "no two sessions of both are called the same"
    assert len(set(keys)) == len(keys), "no two writes have the same key"
    printed = ended.stdout + ended.stderr
    assert parse_request_counts(printed, "/cart/add") == (len(keys), 0)
    # A final read is not counted; one that gets no answer in time is repeated.
    reads, failed = parse_request_counts(printed, "/cart")
    assert 0 < reads <= received - len(keys) - sum(each) and failed == 0


@contextmanager
def with_page(users: Path, url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Locust with its web page, two users at once, until the scope ends."""
    with Reservation() as reserved:
        port = reserved.port
    page = ("--web-host", "127.0.0.1", "--web-port", str(port), "--autostart", "-u", "2", "-r", "2", "--host", url)
    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(users), *page],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """What is seen as soon as it holds."""
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            seen = look()
            if holds(seen):
                return seen
        assert time.monotonic() < end, "the condition was never met"
        time.sleep(0.1)


def test_the_web_page_shows_the_requests(tmp_path: Path) -> None:
    users = tmp_path / "callers.py"
    users.write_text(ENDLESS)
    with scripted(otherwise=shop()) as server, with_page(users, server.url) as (_, page):

        def ask(path: str, data: bytes | None = None) -> Any:
            with urllib.request.urlopen(f"{page}{path}", data, timeout=10) as reply:  # noqa: S310 - Locust's own page
                return json.load(reply)

        def running(stats: Any) -> bool:
            return bool(stats["state"] == "running" and stats["stats"][-1]["num_requests"] > 30)

        seen = until(lambda: ask("/stats/requests"), running)
        assert seen["user_count"] == 2
        assert {row["name"] for row in seen["stats"]} == {"/cart/add", "Aggregated"}
        assert seen["stats"][-1]["num_failures"] == 0 and seen["stats"][-1]["avg_response_time"] > 0
        ask("/stop", b"")
        last = until(lambda: ask("/stats/requests"), lambda stats: stats["state"] == "stopped")
        posted = sum(request.startswith(b"POST") for request in server.requests)
    assert [row["num_requests"] for row in last["stats"]] == [posted, posted]
