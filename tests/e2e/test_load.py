"""The load process as a whole: real Locust, real sockets, a scripted service."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pandas as pd
import pytest

import harness
from harness.cluster.supervisor import start_supervisor
from harness.common.errors import EnvironmentLacksError, UntrustedError, UsageError
from harness.observations.samples import Snapshot
from harness.oracle import history
from harness.oracle.judge import judge
from harness.oracle.verdict import SessionVerdict
from harness.results import spool
from harness.runner.driver import Driver, start_driver
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.driver_processes import ONE_PROCESS, DriverProcesses
from harness.scenario.rates import Trace
from harness.scenario.workload import Load, Requests, Sessions
from tests.support.load import Scripted, Shelf, header, reply, scripted
from tests.unit.load.arrivals.test_pacer import AT_1_PER_CENT, anderson_darling

pytestmark = pytest.mark.slow

SHOPPERS = """
from locust import between, events
from harness.load.locustfiles.session_user import SessionUser

class Shopper(SessionUser):
    wait_time = between(0.005, 0.02)

    def session(self, cart):
        for _ in range(5):
            reply = yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart", check=lambda reply: reply.ok)

    def final(self, cart):
        return cart.get("/cart")
"""
LISTENING = """
seen = []

@events.request.add_listener
def count(request_type, name, response_time, exception, **_):
    seen.append((request_type, name, exception is None, response_time > 0))

@events.quitting.add_listener
def report(**_):
    print("listened:", len(seen), sorted(set(seen)))
"""
PLAIN = """
from locust import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.01)

    @task
    def visit(self):
        self.client.get("/cart")
        self.client.get("/missing", name="missing")
"""
CLOSED = Sessions(concurrent=8, duration="1500ms", warmup="0s")
PARTLY_OPEN = Sessions(rate=40, duration="1500ms", warmup="0s")
OPEN = Requests(rate=200, sessions=10, duration="1500ms", warmup="0s", arrivals="constant")


def shop() -> Callable[[bytes], bytes]:
    """A service that keeps a tally a cookie."""
    kept: dict[str, Shelf] = {}

    def answer(request: bytes) -> bytes:
        if request.startswith(b"GET /missing"):
            return reply(404)
        cookie = header(request, "Cookie")
        if cookie is not None:
            return kept[cookie](request)
        number = len(kept)
        shelf = kept[f"s={number}"] = Shelf(f"b{number}", header(request, "X-User") or "")
        return shelf(request).replace(b"\r\n\r\n", b"\r\nSet-Cookie: s=%d\r\n\r\n" % number, 1)

    return answer


class Loaded:
    """What a load left behind."""

    def __init__(self, directory: Path, snapshots: list[Snapshot], swept: int) -> None:
        self.requests: pd.DataFrame = spool.read_requests(directory)
        lines = spool.read_ledger_lines(directory).splitlines()
        self.judgements: list[SessionVerdict] = [
            judge(history.SessionHistory.from_json(json.loads(line))) for line in lines
        ]
        self.snapshots = snapshots
        self.swept = swept


@asynccontextmanager
async def started(directory: Path, text: str, load: Load, by: DriverProcesses = ONE_PROCESS) -> AsyncIterator[Driver]:
    scenario = directory / "shoppers.py"
    scenario.write_text(text)
    arm = Arm(Design("one"), "control", load, ())
    async with (
        start_supervisor("test") as supervisor,
        start_driver(
            arm,
            scenario,
            spool=directory / "spool",
            log=directory / "load.log",
            supervisor=supervisor,
            seed=7,
            processes=by,
        ) as driver,
    ):
        yield driver


async def loaded(directory: Path, server: Scripted, text: str, load: Load) -> Loaded:
    async with started(directory, text, load) as driver:
        await driver.wait_until_ready()
        driver.start(server.url)
        await driver.wait_until_stopped()
        swept = await driver.sweep()
    return Loaded(directory / "spool", driver.snapshots, swept)


@pytest.mark.parametrize("load", [CLOSED, PARTLY_OPEN, OPEN], ids=["closed", "partly open", "open"])
async def test_every_request_of_a_load_is_recorded_and_every_session_judged(tmp_path: Path, load: Load) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, SHOPPERS, load)
        received = len(server.requests)
    last = seen.snapshots[-1]
    during = seen.requests[seen.requests.phase == 0]
    assert len(seen.requests) == received > 50
    assert last.sent == last.ok == len(during) and last.anomalies == last.dropped == 0
    assert [snapshot.n for snapshot in seen.snapshots] == list(range(1, len(seen.snapshots) + 1))
    assert seen.swept == last.sessions == len(seen.judgements) == (seen.requests.phase == 1).sum()
    assert {(verdict.outcome, verdict.unknown) for verdict in seen.judgements} == {("kept", False)}
    assert sum(verdict.acknowledged for verdict in seen.judgements) == (during.op != 0).sum()
    assert set(during.name) == {"POST /cart/add", "GET /cart"} and set(during.replica) == {"r0"}
    assert (during.t_intended >= 0).all() and (during.t_intended <= during.t_sent).all()
    assert (during.t_sent <= during.t_first).all() and (during.t_first <= during.t_end).all()


async def test_without_records_a_load_is_still_counted_and_judged(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        async with started(tmp_path, SHOPPERS, CLOSED, DriverProcesses(records=False)) as driver:
            await driver.wait_until_ready()
            driver.start(server.url)
            await driver.wait_until_stopped()
            swept = await driver.sweep()
    seen, aggregates = Loaded(tmp_path / "spool", driver.snapshots, swept), spool.read_aggregates(tmp_path / "spool")
    assert len(seen.requests) == 0 and aggregates is not None
    assert 50 < aggregates.attempted <= aggregates.ok == aggregates.correct <= seen.snapshots[-1].ok
    assert {(verdict.outcome, verdict.unknown) for verdict in seen.judgements} == {("kept", False)}
    assert seen.swept == len(seen.judgements) == seen.snapshots[-1].sessions


async def test_open_arrivals_come_at_their_rate(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, SHOPPERS, OPEN)
    intended = seen.requests[seen.requests.phase == 0].t_intended.sort_values()
    dropped, steps = seen.snapshots[-1].dropped, intended.diff().dropna() / 5_000_000
    assert steps.min() == 1 and (steps % 1 == 0).all()
    assert (steps - 1).sum() <= dropped, "none is missing but those that a stall made it drop"
    assert len(intended) + dropped == 300
    assert intended.max() < 1_500_000_000, "none after the end, however late it is noticed"


async def test_the_load_follows_the_shape_of_its_rate(tmp_path: Path) -> None:
    (tmp_path / "arrivals.csv").write_text("seconds\n" + "\n".join(str(n * n / 10_000) for n in range(100)))
    shape = Requests(Trace(str(tmp_path / "arrivals.csv")), sessions=10, duration="2500ms", warmup="0s")
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, SHOPPERS, shape)
    intended = seen.requests[seen.requests.phase == 0].t_intended.sort_values()
    assert intended.tolist() == [n * n * 100_000 for n in range(100)], "each once, and none after the last"
    assert seen.snapshots[-1].dropped == 0


async def test_poisson_arrivals_pass_an_anderson_darling_test(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        load = Requests(rate=400, sessions=40, duration="2500ms", warmup="0s")
        seen = await loaded(tmp_path, server, SHOPPERS, load)
    taken = seen.requests[seen.requests.phase == 0].t_intended.sort_values()
    assert len(taken) > 300
    assert anderson_darling((taken.diff().dropna() / 1e9 * 400).tolist()) < AT_1_PER_CENT


async def test_the_statistics_of_locust_show_the_same_counts(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, SHOPPERS, CLOSED)
    table = next(line for line in (tmp_path / "load.log").read_text().splitlines() if "Aggregated" in line)
    assert int(table.split()[1]) == seen.snapshots[-1].ok


async def test_a_plain_locustfile_is_recorded_too(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, PLAIN, CLOSED)
        received = len(server.requests)
    assert len(seen.requests) == received == seen.snapshots[-1].sent > 50
    by_name = seen.requests.groupby("name", observed=True)
    assert by_name.outcome.agg(set).to_dict() == {"GET /cart": {"ok"}, "GET missing": {"failed"}}
    assert by_name.status.agg(set).to_dict() == {"GET /cart": {200}, "GET missing": {404}}
    assert set(seen.requests.replica) == {"r0"} and set(seen.requests.session) == {0}
    assert seen.swept == len(seen.judgements) == 0
    assert (seen.requests.t_sent <= seen.requests.t_end).all()


HALF_BEGIN = """
from locust import HttpUser, constant, task

class Reader(HttpUser):
    wait_time = constant(0.02)
    @task
    def look(self): self.client.get("/cart")

class Shut(HttpUser):
    def on_start(self): raise RuntimeError("cannot begin")
    @task
    def look(self): self.client.get("/cart")
"""
TWO_OF_ONE_NAME = PLAIN + 'Other = type("Visitor", (FastHttpUser,), {"tasks": Visitor.tasks})\n'


async def test_users_whose_on_start_raises_are_counted_and_quoted(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        seen = await loaded(tmp_path, server, HALF_BEGIN, CLOSED)
    last = seen.snapshots[-1]
    assert last.sent > 0
    assert last.users_ended == 4, "half of the eight users"
    assert last.users_ended_why == "Shut: RuntimeError: cannot begin"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TWO_OF_ONE_NAME, "ValueError: The following user classes have the same class name"),
        ("import no_such_module\n" + PLAIN, "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
async def test_why_locust_does_not_start_is_said_in_its_own_words(tmp_path: Path, text: str, line: str) -> None:
    async with started(tmp_path, text, CLOSED) as driver:
        with pytest.raises(UsageError, match=f"Locust does not start: {line}") as problem:
            await driver.wait_until_ready()
    assert str(tmp_path / "load.log") in problem.value.hint


async def test_a_plain_locustfile_under_arrivals_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path, PLAIN, OPEN) as driver:
        with pytest.raises(UsageError, match="plain locustfile"):
            await driver.wait_until_ready()


async def test_a_url_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    async with started(tmp_path, SHOPPERS, CLOSED) as driver:
        await driver.wait_until_ready()
        driver.start("ftp://127.0.0.1:1")
        with pytest.raises(UsageError, match="ftp"):
            await driver.wait_until_stopped()


async def test_a_killed_load_process_is_untrusted(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        async with started(tmp_path, SHOPPERS, CLOSED) as driver:
            await driver.wait_until_ready()
            driver.start(server.url)
            await asyncio.sleep(0.7)
            os.kill(driver.pid, signal.SIGKILL)
            with pytest.raises(UntrustedError, match=r"died on its own \(exit -9\)") as problem:
                await driver.wait_until_stopped()
    assert "All users spawned" in problem.value.hint, "the log's last lines"
    assert len(spool.read_requests(tmp_path / "spool")) > 10, "what was recorded stays"


async def test_a_scenario_that_a_worker_cannot_import_is_reported_with_the_log(tmp_path: Path) -> None:
    async with started(tmp_path, "raise RuntimeError('not here')", CLOSED) as driver:
        with pytest.raises(UsageError, match="RuntimeError: not here") as problem:
            await driver.wait_until_ready()
    assert "log" in problem.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
async def test_a_full_disk_ends_the_load_with_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "requests.bin").symlink_to("/dev/full")
    with scripted(otherwise=shop()) as server:
        async with started(tmp_path, SHOPPERS, CLOSED) as driver:
            await driver.wait_until_ready()
            driver.start(server.url)
            with pytest.raises(EnvironmentLacksError, match="disk is full"):
                await driver.wait_until_stopped()


async def test_the_end_of_the_channel_ends_the_load(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        async with started(tmp_path, SHOPPERS, Sessions(concurrent=4, duration="60s", warmup="0s")) as driver:
            await driver.wait_until_ready()
            driver.start(server.url)
            await asyncio.sleep(0.5)
            await driver.close()
            assert await driver.code() == 0
        received = len(server.requests)
        await asyncio.sleep(0.2)
        assert len(server.requests) == received > 0


async def test_stop_ends_the_load_before_its_time(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        async with started(tmp_path, SHOPPERS, Sessions(concurrent=4, duration="60s", warmup="0s")) as driver:
            await driver.wait_until_ready()
            driver.start(server.url)
            await asyncio.sleep(0.5)
            driver.stop()
            await asyncio.wait_for(driver.wait_until_stopped(), 15)
            assert await driver.sweep() == driver.snapshots[-1].sessions > 0


def locust(directory: Path, url: str, *options: str, text: str = SHOPPERS) -> subprocess.CompletedProcess[str]:
    scenario = directory / "shoppers.py"
    scenario.write_text(text)
    argv = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(scenario),
        "--headless",
        "--only-summary",
        "--host",
        url,
        *options,
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(harness.__file__).parent.parent)}
    env.pop("LOCUST_SKIP_MONKEY_PATCH", None)
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_scenario_is_a_plain_locustfile_that_ends_with_a_verdict(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        ended = locust(tmp_path, server.url, "-u", "5", "-r", "5", "-t", "5s", text=SHOPPERS + LISTENING)
        finals = len(server.requests)
    assert ended.returncode == 0, ended.stderr
    verdict = next(line for line in ended.stdout.splitlines() if line.startswith("Sessions:"))
    judged, kept = int(verdict.split()[1]), int(verdict.split(":")[2].split()[0])
    assert judged == kept >= 5 and "acknowledged, 0 of them lost" in ended.stdout
    table = next(line for line in ended.stdout.splitlines() + ended.stderr.splitlines() if "Aggregated" in line)
    counted = int(table.split()[1])
    assert counted == finals - judged > 20
    listened = next(line for line in ended.stdout.splitlines() if line.startswith("listened:"))
    assert listened == f"listened: {counted} [('GET', '/cart', True, True), ('POST', '/cart/add', True, True)]"


def test_a_lost_session_is_reported_in_the_verdict(tmp_path: Path) -> None:
    answer, count = shop(), iter(range(10**9))

    def forgetful(request: bytes) -> bytes:
        return answer(request) if next(count) < 6 else Shelf("reborn", header(request, "X-User") or "")(b"")

    with scripted(otherwise=forgetful) as server:
        ended = locust(tmp_path, server.url, "-u", "2", "-r", "2", "-t", "5s")
    assert " lost" in next(line for line in ended.stdout.splitlines() if line.startswith("Sessions:")), ended.stdout


def test_the_harness_keeps_the_stop_timeout_of_locust(tmp_path: Path) -> None:
    with scripted(otherwise=shop()) as server:
        ended = locust(tmp_path, server.url, "-u", "3", "-r", "3", "-t", "1s", "--stop-timeout", "20")
    assert ended.returncode == 0 and "Sessions:" in ended.stdout
    assert "Not all users finished" not in ended.stderr


def test_a_missing_host_is_reported_in_one_line(tmp_path: Path) -> None:
    ended = locust(tmp_path, "", "-u", "1", "-t", "1s")
    assert ended.returncode == 2 and "--host" in ended.stderr and "Traceback" not in ended.stderr
