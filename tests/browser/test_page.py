"""The page as its readers use it: in a browser, with a pointer, a keyboard, a small screen, in the dark."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from harness.report.charts import draw
from harness.report.html import pair_page
from harness.report.html.run_page import write
from harness.report.stories import ArmStories, Story
from harness.results.verdicts import Result, Verdict
from tests.support import charts as fakes
from tests.support.axe import fetch_axe, find_barriers
from tests.support.chromium import chromium

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]  # tests share the fixture

NASTY = "<script>document.title='pwned'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    charts = draw(fakes.summary(), fakes.runs(), run / "charts")
    verdicts = [Verdict("keeps", Result.PASS, "nothing lost", "sticky")]
    story = Story(17, "session 17: lost", ("    8.100 s GET /cart ok 200 r1",), ("its state was gone",))
    stories = [ArmStories("sticky", "fault", 67, (story,))]
    return write(run, fakes.summary(), verdicts, charts, {"load": "closed"}, stories=stories)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pair")
    charts = draw(fakes.summary(), fakes.runs(), directory / "charts")
    first, second = (pair_page.Side(replace(fakes.summary(), run=run), charts) for run in ("one", "two"))
    return pair_page.write(directory / "both.html", first, second)


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


def point_at_first_panel(opened: Opened) -> None:
    """Put the pointer into the first panel of the timeline; before it come its title and legend."""
    panel = opened.page.locator(".chart svg[data-part]").nth(1)
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)


def test_a_hidden_design_leaves_neither_a_panel_nor_a_value(opened: Opened) -> None:
    names = list(fakes.summary().designs)
    panels = opened.page.locator(f'.piece[data-design="{names[1]}"]')
    assert panels.count() == 2 and panels.first.is_visible()
    opened.page.locator(".switches button", has_text=names[1]).click()
    assert not panels.first.is_visible() and not panels.last.is_visible()
    point_at_first_panel(opened)
    text = opened.page.locator(".tip").inner_text()
    assert f"{names[0]}: " in text and f"{names[1]}: " not in text


@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (600, 1)])
def test_the_panels_of_a_chart_stack_on_a_narrow_page(browser: Browser, report: Path, width: int, columns: int) -> None:
    page = Opened(browser, report, viewport={"width": width, "height": 800})
    lefts = (
        page.page.locator("figure")
        .first.locator(".piece")
        .evaluate_all("pieces => pieces.slice(1).map(piece => Math.round(piece.getBoundingClientRect().left))")
    )
    page.close()
    assert len(set(lefts)) == columns


def test_the_count_of_lost_sessions_opens_their_stories(opened: Opened) -> None:
    assert not opened.page.locator("#stories0").evaluate("details => details.open")
    opened.page.locator("table.decision a", has_text="lost 67").click()
    assert opened.page.locator("#stories0").evaluate("details => details.open")
    opened.page.locator("#story0-17 summary").click()
    assert "GET /cart" in opened.page.locator("#story0-17 pre").inner_text()


def test_the_pointer_shows_every_designs_value_at_one_time(opened: Opened) -> None:
    point_at_first_panel(opened)
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


def test_on_a_phone_the_reason_of_a_check_is_read_without_scrolling(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport={"width": 390, "height": 800})
    boxes = [reason.bounding_box() for reason in page.page.locator("table.checks td:last-child").all()]
    page.close()
    assert boxes and all(box and box["width"] > 200 and box["x"] + box["width"] <= 390 for box in boxes)


def test_the_page_is_complete_without_scripts(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, java_script_enabled=False)
    assert page.page.locator("figure [role=img]").count() == page.page.locator("figure").count() > 3
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
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "pair"])
def test_no_serious_barrier_for_any_reader(
    browser: Browser, request: pytest.FixtureRequest, axe: str, scheme: str, name: str
) -> None:
    page = Opened(browser, request.getfixturevalue(name), color_scheme=scheme, bypass_csp=True)
    barriers = find_barriers(page.page, axe)
    page.close()
    assert barriers == []
