"""The page as its readers use it: in a browser, with a pointer, a keyboard, a small screen, in the dark."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from harness.report.charts import draw
from harness.report.html.run_page import write
from harness.results.verdicts import Result, Verdict
from tests.support import charts as fakes

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]  # tests share the fixture

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NASTY = "<script>document.title='pwned'</script>"


def missing(what: str, command: str) -> None:
    """Skip with the command that installs it; fail if HARNESS_REQUIRE permits nothing to be missing."""
    message = f"no {what}: {command}"
    if os.environ.get("HARNESS_REQUIRE") == "all":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium", "apt-get install chromium")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    charts = draw(fakes.summary(), fakes.runs(), run / "charts")
    verdicts = [Verdict("keeps", Result.PASS, "nothing lost", "sticky")]
    return write(run, fakes.summary(), verdicts, charts, {"load": "closed", "source": "x = 1"})


class Opened:
    """A page, with the errors that its browser logged and the URLs that it requested."""

    def __init__(self, browser: Browser, report: Path, **how: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(report.as_uri())

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    page = Opened(browser, report)
    yield page
    page.close()


def test_the_page_logs_no_error_and_fetches_nothing(opened: Opened, report: Path) -> None:
    opened.page.wait_for_timeout(200)
    assert opened.errors == []
    assert [url for url in opened.requested if not url.startswith("data:")] == [report.as_uri()]


def test_a_design_is_switched_off_and_on_again_by_keyboard(opened: Opened) -> None:
    button = opened.page.locator(".switches button").first
    part = opened.page.locator('svg [id^="timeline-d0."]').first
    assert part.evaluate("e => getComputedStyle(e).display") != "none"
    button.focus()
    opened.page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    assert part.evaluate("e => getComputedStyle(e).display") == "none"
    assert opened.page.locator('svg [id^="timeline-d1."]').first.evaluate("e => getComputedStyle(e).display") != "none"
    opened.page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "true"
    assert part.evaluate("e => getComputedStyle(e).display") != "none"


def test_the_pointer_shows_every_designs_value_at_one_time(opened: Opened) -> None:
    svg = opened.page.locator(".chart svg").first
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.3)
    tip = opened.page.locator(".tip")
    assert tip.is_visible()
    text = tip.inner_text()
    assert all(f"{name}: " in text for name in fakes.summary().designs), text
    assert opened.page.locator(".cursor").first.is_visible()
    opened.page.mouse.move(2, 2)
    assert not tip.is_visible()


def test_the_page_follows_the_dark_colour_scheme(browser: Browser, report: Path) -> None:
    colors = []
    for scheme in ("light", "dark"):
        page = Opened(browser, report, color_scheme=scheme)
        colors.append(page.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
        page.close()
    light, dark = (sum(map(int, color[4:-1].split(","))) for color in colors)
    assert dark < 150 and light > 600


def test_a_phone_needs_no_sideways_scroll(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport={"width": 390, "height": 800})
    width = page.page.evaluate("() => document.documentElement.scrollWidth")
    page.close()
    assert width <= 390


def test_the_page_is_complete_without_scripts(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, java_script_enabled=False)
    assert page.page.locator("figure svg").count() == page.page.locator("figure").count() > 3
    assert page.page.locator("table.decision tbody tr").count() == len(fakes.summary().designs)
    assert not page.page.locator(".switches").is_visible()
    page.close()


def test_a_design_named_like_a_script_is_text(browser: Browser, tmp_path: Path) -> None:
    fake = [fakes.Fake(NASTY, lost=1)]
    charts = draw(fakes.summary(fake), fakes.runs(fake), tmp_path / "charts")
    verdicts = [Verdict("keeps", Result.FAIL, NASTY, NASTY)]
    page = Opened(browser, write(tmp_path, fakes.summary(fake), verdicts, charts, {"load": "closed"}))
    page.page.wait_for_timeout(200)
    assert "pwned" not in page.page.title()
    assert NASTY in page.page.locator("main").inner_text()
    assert page.errors == []
    page.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script, from npm."""
    directory = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    done = npm and subprocess.run(
        [npm, "pack", "axe-core"], cwd=directory, capture_output=True, check=False, timeout=60
    )
    packed = next(directory.glob("axe-core-*.tgz"), None)
    if not done or packed is None:
        missing("axe-core", "apt-get install npm, and a registry that npm pack axe-core reaches")
    assert packed is not None
    with tarfile.open(packed) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_barrier_for_any_reader(browser: Browser, report: Path, axe: str, scheme: str) -> None:
    page = Opened(browser, report, color_scheme=scheme, bypass_csp=True)
    page.page.evaluate(axe)
    violations = page.page.evaluate("async () => (await axe.run()).violations")
    page.close()
    serious = [violation for violation in violations if violation["impact"] in ("serious", "critical")]
    assert serious == [], [
        (barrier["id"], [node["html"][:200] for node in barrier["nodes"]][:3]) for barrier in serious
    ]
