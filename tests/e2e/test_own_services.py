"""Real services that know nothing of the harness, judged rightly; and the ways in: init, plain locustfiles, Python."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.metrics.resources import SATURATED_CPU
from harness.common.errors import UsageError
from harness.recipes import Number, SessionCounter
from harness.runner.library import arun, run
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.expectations import keeps
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command
from harness.scenario.workload import Sessions
from tests.support.bench import KILL_AND_RESTART, benched
from tests.support.harness_command import assert_one_clear_line, assert_passes_except_for_times, harness

pytestmark = pytest.mark.slow

SITE = Path(__file__).parents[1] / "services" / "site.py"
USERS = """
from locust import between
from harness.oracle.models import items
from harness.recipes import *


class Visitor({kind}):
    wait_time = between(0.02, 0.06)
    {more}
"""
SHOPPER = """model = items
    observe = Json("items", missing=())

    def visits(self, client):
        for number in range(1000):
            yield client.post("/cart", data=f"item=tea-{number}", writes=f"tea-{number}")
            yield client.get("/cart")

    def session(self, client):
        yield from self.log_in(client)
        yield from self.visits(client)

    def final(self, client):
        return client.get("/cart")
"""
VISITS = "write = '/visits'; observe = Number('Visits: (\\\\d+)')"


def users(directory: Path, kind: str, more: str = "pass") -> Path:
    path = directory / "users.py"
    path.write_text(USERS.format(kind=kind, more=more))
    return path


def site(policy: str = "cookie") -> Design:
    target = Command([sys.executable, str(SITE)], ready="/health")
    return Design("site", target, balancing=Balancing(policy), replicas=3, at_risk="victim")


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Login", "who = Text('Signed in as <b>(\\\\w+)')"),
        ("Login", SHOPPER),
        ("SessionCounter", VISITS),
        ("Probe", "path = '/visits'"),
    ],
)
async def test_memory_with_affinity_loses_exactly_the_victims_sessions(tmp_path: Path, kind: str, more: str) -> None:
    seen, figures = await benched(site(), users(tmp_path, kind, more), KILL_AND_RESTART, tmp_path, "3500ms")
    sessions = figures.sessions
    assert sessions.judged == 30 and 3 <= sessions.lost < 20
    assert (sessions.lost, sessions.lost_not_at_risk, sessions.at_risk_not_lost) == (sessions.at_risk, 0, 0)
    assert (sessions.stale, sessions.leaked, sessions.unknown) == (0, 0, 0)
    assert set(sessions.lost_by_cause) <= {"killed", "returned_empty"}
    assert set(figures.spread.per_replica) == {"r0", "r1", "r2"}
    assert "r1.1" in set(seen.requests["boot"].dropna())
    if kind == "Login":
        assert sessions.forced_login == sessions.lost


async def test_memory_without_affinity_is_seen_to_be_broken(tmp_path: Path) -> None:
    _, figures = await benched(
        site("round_robin"), users(tmp_path, "SessionCounter", VISITS), (), tmp_path, duration="1500ms"
    )
    assert figures.sessions.lost + figures.sessions.stale >= 25


@pytest.mark.parametrize("balancer", ["haproxy", "nginx"])
async def test_without_a_fault_nothing_is_found(tmp_path: Path, balancer: str) -> None:
    design = replace(site(), balancing=Balancing("cookie", balancer))
    _, figures = await benched(design, users(tmp_path, "Login", SHOPPER), (), tmp_path, "1500ms")
    sessions, writes = figures.sessions, figures.writes
    assert (sessions.judged, sessions.unknown) == (30, 0)
    assert (sessions.lost, sessions.stale, sessions.rolled_back, sessions.forced_login) == (0, 0, 0, 0)
    assert (writes.lost, writes.duplicated, writes.unexplained, writes.in_doubt) == (0, 0, 0, 0)
    assert writes.acknowledged >= sessions.judged


PLAIN = """
from locust import FastHttpUser, HttpUser, LoadTestShape, TaskSet, between, tag, task


class Deep(TaskSet):
    @task
    def look(self):
        self.client.get("/health")
        self.interrupt()


class Slow(HttpUser):
    wait_time = between(0.05, 0.1)
    tasks = [Deep]

    def on_start(self):
        self.client.get("/login", name="start")


class Fast(FastHttpUser):
    wait_time = between(0.05, 0.1)

    @tag("x")
    @task
    def visit(self):
        self.client.get("/visits")


class Steps(LoadTestShape):
    def tick(self):
        return (6, 100) if self.get_run_time() < 2.5 else None
"""


async def test_a_plain_locustfile_runs_unchanged_and_says_nothing_of_sessions(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text(PLAIN)
    seen, figures = await benched(site(), path, KILL_AND_RESTART, tmp_path, "8s")
    assert seen.complete and figures.sessions.judged == 0
    assert set(seen.requests["name"]) == {"GET start", "GET /health", "GET /visits"}
    assert (seen.requests["name"] == "GET start").sum() == 3
    assert set(figures.spread.per_replica) == {"r0", "r1", "r2"} and "r1.1" in set(seen.requests["boot"])
    assert figures.driver.cpu_median is not None and figures.driver.cpu_median < SATURATED_CPU
    assert seen.requests["t_end"].max() / 1e9 < seen.duration - 0.5, "its own shape ended its load"


def test_a_service_that_does_not_start_is_reported_and_leaves_its_log(tmp_path: Path) -> None:
    result = harness("run", "--command", f"{sys.executable} -c 'import sys; sys.exit(7)'", "--out", tmp_path)
    assert_one_clear_line(result, 4, "ended with code 7 before it was ready")
    assert list(tmp_path.glob("service/*/observations/service-control/logs/r0.log"))


class Visitor(SessionCounter):
    """For the library: importable by its name."""

    write = "/visits"
    observe = Number(r"Visits: (\d+)")


async def test_from_python_inside_a_loop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Scenario([site()], Sessions(concurrent=20, duration="1500ms", warmup="300ms"), 3, expect=[keeps("site")])
    with pytest.raises(UsageError, match="block the event loop"):
        run(short, Visitor, out=tmp_path)
    with monkeypatch.context() as watched:
        watched.setattr("signal.signal", lambda *_: pytest.fail("a handler was set"))
        results = await arun(short, Visitor, out=tmp_path, name="mine")
    assert_passes_except_for_times(results.verdicts)
    assert (results.exit_code in (0, 3), results.finding("site")) == (True, "kept")
    assert (results.sessions("site", "control").judged, results.sessions("site", "control").lost) == (20, 0)
    assert results.path.parent.name == "mine" and (results.path / "report.html").exists()
    with pytest.raises(UsageError, match="no fault arm"):
        results.sessions("site")
    assert capfd.readouterr() == ("", "")


async def test_users_that_cannot_be_imported_are_refused(tmp_path: Path) -> None:
    class Local(Visitor):
        pass

    short = Scenario([site()], Sessions(concurrent=2, duration="1s", warmup="0s"))
    with pytest.raises(UsageError, match="cannot be imported"):
        await arun(short, Local, out=tmp_path)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - nothing runs any more
