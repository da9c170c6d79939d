"""Real services that know nothing of the harness, judged rightly by the ready-made users."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults import Kill, Restart
from harness.scenario import At, Balancing, Design
from harness.targets import Command
from tests.e2e.benched import benched

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
FAULTS = (At("800ms", Kill(replica=1)), At("1200ms", Restart(replica=1)))


def users(directory: Path, kind: str, more: str = "pass") -> Path:
    path = directory / "users.py"
    path.write_text(USERS.format(kind=kind, more=more))
    return path


def site(policy: str = "cookie") -> Design:
    target = Command([sys.executable, str(SITE)], ready="/health")
    return Design("site", target=target, balancing=Balancing(policy), replicas=3, at_risk="victim")


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Login", "who = Text('Signed in as <b>(\\\\w+)')"),
        ("Login", "pass"),
        ("Login", SHOPPER),
        ("SessionCounter", VISITS),
        ("Probe", "path = '/visits'"),
    ],
)
async def test_memory_with_affinity_loses_exactly_the_victims_sessions(tmp_path: Path, kind: str, more: str) -> None:
    seen, figures = await benched(site(), users(tmp_path, kind, more), FAULTS, tmp_path, duration="2500ms")
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
    _, figures = await benched(design, users(tmp_path, "Login", SHOPPER), (), tmp_path, duration="1500ms")
    sessions, writes = figures.sessions, figures.writes
    assert (sessions.judged, sessions.unknown) == (30, 0)
    assert (sessions.lost, sessions.stale, sessions.rolled_back, sessions.forced_login) == (0, 0, 0, 0)
    assert (writes.lost, writes.duplicated, writes.unexplained, writes.in_doubt) == (0, 0, 0, 0)
    assert writes.acknowledged > 100
