"""The site as a browser sees it: pages, filters, events, and what it refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession

from harness.common.errors import EnvironmentLacksError
from harness.results.live import LiveLine, append_line
from harness.results.run import Run
from harness.site.server import ServedSite, serve
from tests.support.charts import Fake
from tests.support.sites import add_run, add_running, write_kill

FIRST, SECOND = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb"
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
async def site(results: Path) -> AsyncIterator[ServedSite]:
    async with serve(results, 0) as served:
        yield served


@pytest.fixture
async def client(site: ServedSite) -> AsyncIterator[ClientSession]:
    async with ClientSession(site.address) as session:
        yield session


async def read(client: ClientSession, path: str) -> str:
    async with client.get(path) as response:
        assert response.status == 200, path
        return await response.text()


async def test_all_runs_are_listed_the_newest_first(client: ClientSession, results: Path) -> None:
    for run in (FIRST, SECOND):
        add_run(results, run)
    page = await read(client, "/")
    assert page.index(SECOND) < page.index(FIRST)
    assert f'href="/runs/node_kill/{FIRST}/report"' in page


async def test_without_any_run_the_page_says_so(client: ClientSession) -> None:
    assert "0 runs" in await read(client, "/")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {FIRST, SECOND}),
        ("scenario=node_kill", {FIRST}),
        ("verdict=fail", {SECOND}),
        ("design=sticky", {FIRST}),
        ("design=other", {SECOND}),
        ("scenario=node_kill&verdict=fail", set()),
    ],
)
async def test_runs_are_filtered(client: ClientSession, results: Path, query: str, shown: set[str]) -> None:
    add_run(results, FIRST)
    add_run(results, SECOND, scenario="deploy", fakes=[Fake("other")], verdict="fail")
    page = await read(client, f"/?{query}")
    assert {run for run in (FIRST, SECOND) if run in page} == shown


async def test_with_a_design_the_verdict_is_about_that_design(client: ClientSession, results: Path) -> None:
    add_run(results, FIRST, verdict="fail")  # each design of it passes
    assert FIRST in await read(client, "/?design=sticky&verdict=pass")
    assert FIRST not in await read(client, "/?design=sticky&verdict=fail")


@pytest.mark.parametrize("figure", ["session-loss", "writes-lost", "p99", "cpu"])
async def test_every_figure_has_a_page_with_all_runs(client: ClientSession, results: Path, figure: str) -> None:
    for run in (FIRST, SECOND):
        add_run(results, run, environment={"git": f"commit-{run[7]}"})
    page = await read(client, f"/trends/node_kill/{figure}")
    assert all(text in page for text in (FIRST, SECOND, "commit-1", "commit-2", "<svg"))
    assert page.count("<circle") >= 2


async def test_a_report_is_served_as_of_no_origin(client: ClientSession, results: Path) -> None:
    add_run(results, FIRST)
    async with client.get(f"/runs/node_kill/{FIRST}/report") as response:
        assert f"report of {FIRST}" in await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts;") and "allow-same-origin" not in policy
    assert "script-src 'sha256-" in policy and "connect-src" not in policy and "default-src 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/runs/node_kill/none/report",
        "/runs/none/none/live",
        "/runs/../../report",
        "/runs/node_kill/..%2f..%2fsecret/report",
        "/runs/%2e%2e/secret/report",
        "/trends/node_kill/none",
        "/trends/none/p99",
        "/trends/..%2fsecret/p99",
        "/secret",
    ],
)
async def test_a_path_that_names_no_run_leads_nowhere(client: ClientSession, results: Path, path: str) -> None:
    add_run(results, FIRST)
    add_run(results.parent, FIRST, scenario="secret")
    async with client.get(path) as response:
        assert response.status == 404


async def test_a_link_out_of_the_directory_is_not_followed(client: ClientSession, results: Path) -> None:
    outside = add_run(results.parent / "outside", SECOND)
    inside = add_run(results, FIRST)
    (results / "linked").symlink_to(outside.path.parent)
    (results / "node_kill" / SECOND).symlink_to(outside.path)
    (inside.path / "report.html").unlink()
    (inside.path / "report.html").symlink_to("/etc/passwd")
    page = await read(client, "/")
    assert SECOND not in page and FIRST not in page
    async with client.get(f"/runs/node_kill/{FIRST}/report") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:{}", 200), ("localhost:{}", 200), ("evil.example:{}", 421), ("127.0.0.1", 421), ("", 421)],
)
async def test_a_request_for_another_host_is_refused(
    client: ClientSession, site: ServedSite, host: str, status: int
) -> None:
    port = site.address.rpartition(":")[2]
    async with client.get("/", headers={"Host": host.format(port)}) as response:
        assert response.status == status


async def test_what_a_run_holds_is_shown_and_never_obeyed(client: ClientSession, results: Path) -> None:
    add_run(results, FIRST, fakes=[Fake("evil-design")], environment={"git": NASTY}, started=NASTY)
    for path in ("/", "/trends/node_kill/p99", f"/?design={NASTY}"):
        assert NASTY not in await read(client, path)


async def test_every_answer_carries_the_policy(client: ClientSession, results: Path) -> None:
    add_run(results, FIRST)
    for path in ("/", "/live.js", "/nothing", f"/runs/node_kill/{FIRST}/live"):
        async with client.get(path) as response:
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_port_that_is_taken_is_reported(site: ServedSite, results: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match="is taken"):
        async with serve(results, int(site.address.rpartition(":")[2])):
            pass


# A run in progress.


@pytest.fixture
def running(results: Path) -> Run:
    return add_running(results)


async def next_event(response: ClientResponse, name: str) -> str:
    """The data of the next event of this name."""
    async with asyncio.timeout(20):
        async for line in response.content:
            if line.strip() == f"event: {name}".encode():
                return str(json.loads((await response.content.readline()).removeprefix(b"data: ")))
    raise AssertionError(f"the stream ended without {name}")


async def test_the_page_leads_to_the_run_in_progress(client: ClientSession, running: Run) -> None:
    assert "No run is in progress" in await read(client, "/live")
    with running.writing():
        async with client.get("/live") as response:
            assert response.url.path == f"/runs/node_kill/{running.plan.run}/live"
            assert "No arm has begun yet" in await response.text()


@pytest.mark.slow  # it takes seconds
async def test_a_growing_run_is_followed_to_its_end(client: ClientSession, site: ServedSite, running: Run) -> None:
    path = f"/runs/node_kill/{running.plan.run}/events"
    async with client.get(path) as events:
        with running.writing():
            assert "controls" in await next_event(events, "status")
            assert site.watchers.count == 1
            write_kill(running)
            view = await next_event(events, "view")
            assert view.count("<svg") == 4 and 'class="shade"' in view
            assert "Sessions lost so far, of 200: 67" in view
            assert "under kill of r1" in await next_event(events, "status")
            append_line(running.path, LiveLine(ended="sticky, fault arm: <b>over</b>"))
            assert "&lt;b&gt;over&lt;/b&gt;" in await next_event(events, "view")
        assert await next_event(events, "over") == "The run is over: broken off."


async def test_a_run_that_cannot_be_followed_says_so(client: ClientSession, running: Run) -> None:
    (running.path / "live.jsonl").write_text('{"snapshot": 7}\n')
    async with client.get(f"/runs/node_kill/{running.plan.run}/events") as events:
        assert "cannot be followed" in await next_event(events, "status")


async def test_a_site_ends_although_a_page_follows_a_run(results: Path, running: Run) -> None:
    async with ClientSession() as session, asyncio.timeout(20):
        async with serve(results, 0) as served:
            events = await session.get(f"{served.address}/runs/node_kill/{running.plan.run}/events")
            await next_event(events, "status")
        assert await events.content.read() is not None
