"""The site of ``harness serve`` in a browser: a real run while it goes on, and its pages for every reader."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from harness.results.baselines import accept
from harness.results.run import Run
from harness.site.beside_run import serve_beside
from tests.support.axe import fetch_axe, find_barriers
from tests.support.charts import Fake
from tests.support.chromium import chromium
from tests.support.harness_command import NODE_KILL, ROOT, argv
from tests.support.sites import add_run, add_running, write_kill

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]  # tests share the fixtures

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of each page, over ten runs with a baseline and one in progress."""
    results = tmp_path_factory.mktemp("results")
    for day in range(10):
        fakes = [Fake("sticky", lost=50 + 3 * day), Fake("stateless"), Fake("a_design_with_a_long_name", lost=day)]
        verdict = ("pass", "unknown", "fail")[day % 3]
        run = add_run(results, f"202601{day + 1:02}T000000Z-aaaaaa", fakes=fakes, verdict=verdict)
        if day == 3:
            accept(run, "measured three times", results / "baselines")
    running = add_running(results, "20260201T000000Z-bbbbbb")
    write_kill(running)
    with running.writing(), serve_beside(results) as site:
        trend = f"{site.address}/trends/node_kill/session-loss"
        yield {"runs": f"{site.address}/", "trend": trend, "live": f"{site.address}/live"}


@contextmanager
def opened(browser: Browser, width: int = 1280, scheme: str = "light", **how: bool) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **how)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", ["runs", "trend", "live"])
def test_a_page_fits_every_reader(browser: Browser, paths: dict[str, str], axe: str, name: str, tmp_path: Path) -> None:
    for width in WIDTHS:
        for scheme in SCHEMES:
            with opened(browser, width, scheme, bypass_csp=True) as page:
                page.goto(paths[name])
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert find_barriers(page, axe) == []
                page.screenshot(path=_shots(tmp_path) / f"{name}-{width}-{scheme}.png", full_page=True)


def test_on_a_phone_the_verdicts_and_the_newest_runs_need_no_scrolling_sideways(
    browser: Browser, paths: dict[str, str]
) -> None:
    with opened(browser, width=390) as page:
        page.goto(paths["runs"])
        for shown in (page.locator("tbody .badge"), page.locator("tbody li")):
            assert all(_right_edge(each) <= 390 for each in shown.all())
        page.goto(paths["trend"])
        newest = page.locator("svg.plot circle").nth(9)
        assert 0 < _right_edge(newest) <= 390
        assert all(_right_edge(figure) <= 390 for figure in page.locator("tbody td.n").all())


def _right_edge(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"]


@pytest.mark.parametrize("name", ["runs", "trend", "live"])
def test_a_page_asks_no_other_host_and_logs_no_error(browser: Browser, paths: dict[str, str], name: str) -> None:
    with opened(browser) as page:
        errors, requested = list[str](), list[str]()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(paths[name])
        page.wait_for_timeout(300)
        assert errors == []
        home = paths["runs"]
        assert requested and [url for url in requested if not url.startswith((home, "data:"))] == []


def test_runs_are_filtered_by_keyboard_alone(browser: Browser, paths: dict[str, str]) -> None:
    with opened(browser) as page:
        page.goto(paths["runs"])
        page.get_by_label("Verdict").focus()
        page.keyboard.type("fail")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("3 runs.")).to_be_visible()
        assert page.locator("tbody tr").count() == 3


def test_a_real_run_is_followed_from_its_kill_to_its_report(browser: Browser, tmp_path: Path) -> None:
    with running_command(tmp_path) as (address, end), opened(browser) as page:
        page.goto(address)
        status = page.locator("#status")
        expect(status).to_contain_text("under kill of r1", timeout=120_000)
        page.screenshot(path=_shots(tmp_path) / "live-kill.png", full_page=True)
        assert page.locator("rect.shade").count() >= 4
        assert page.locator("path.line").first.get_attribute("d")
        expect(status).to_contain_text("The run is over", timeout=120_000)
        page.get_by_text("Open the report").click()
        expect(page.locator("table.decision")).to_be_visible()
        assert end() in (0, 3), "the command ends when the live page is gone; a busy machine makes times unknown"
    run = Run.open(tmp_path / "results" / "node_kill" / "latest")
    assert run.read_summary().designs["sticky"].arms["fault"].sessions.lost > 0
    assert not (run.path / "live.jsonl").exists()


@contextmanager
def running_command(directory: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """``harness run --live``: the address of its page, and what waits for its exit code."""
    arguments = ("run", NODE_KILL, "--quick", "--design", "sticky", "--live", "--out", directory / "results")
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "BROWSER")}
    with subprocess.Popen(
        argv(*arguments), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr)
        address = next(found[1] for line in lines if (found := re.match(r"live: (http://127\.0\.0\.1:\d+/live)", line)))
        reader = threading.Thread(target=list, args=(lines,))
        reader.start()
        try:
            yield address, lambda: process.wait(timeout=120)
        finally:
            process.terminate()
            reader.join()


def _shots(directory: Path) -> Path:
    """Where pictures go: to look at them, name a directory in HARNESS_SCREENSHOTS."""
    path = Path(os.environ.get("HARNESS_SCREENSHOTS", directory))
    path.mkdir(exist_ok=True, parents=True)
    return path
