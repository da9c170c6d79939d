"""The report in a real browser: it renders, fits a small screen, and fetches nothing."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from harness.report.charts import draw
from harness.report.html.run_page import write
from harness.results.verdicts import Result, Verdict
from tests.support import charts as fakes
from tests.support.chromium import QUIET, find_chromium

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]  # tests share the fixture

FLAGS = ("--headless", *QUIET, "--hide-scrollbars", "--virtual-time-budget=3000")


@pytest.fixture(scope="module")
def browser() -> str:
    return find_chromium()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    many = [fakes.Fake(f"a_design_with_quite_a_long_name_{index}", lost=9 * index) for index in range(4)]
    charts = draw(fakes.summary(many), fakes.runs(many), run / "charts")
    plan = {"load": "closed", "environment": {"cpu": "x" * 200}}
    return write(run, fakes.summary(many), [Verdict("keeps", Result.PASS, "why " * 60)], charts, plan)


def run_browser(browser: str, profile: Path, *arguments: str) -> str:
    """Run the browser once; returns what it prints."""
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def picture(
    browser: str, tmp_path: Path, report: Path, *flags: str
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    path = tmp_path / "shot.png"
    run_browser(browser, tmp_path / "profile", *flags, f"--screenshot={path}", report.as_uri())
    shot: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = imread(path)[..., :3]
    return shot


def test_it_renders_light_and_dark(browser: str, report: Path, tmp_path: Path) -> None:
    light = picture(browser, tmp_path, report, "--window-size=1280,1600")
    dark = picture(browser, tmp_path, report, "--window-size=1280,1600", "--blink-settings=preferredColorScheme=0")
    assert light.shape[:2] == (1600, 1280)
    assert np.median(light) > 0.9
    assert np.median(dark) < 0.2
    assert light.std() > 0.05  # not a blank page
    assert dark.std() > 0.05


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_itself_never_scrolls_sideways(browser: str, report: Path, tmp_path: Path, width: int) -> None:
    """A headless window is at least 500 pixels wide: the page is measured in a frame of the width in question."""
    inner = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text(encoding="utf-8"))
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<!doctype html><title>not loaded</title><iframe width="{width}" height="900" style="border:0"></iframe>'
        "<script>const frame = document.querySelector('iframe');"
        "frame.onload = () => { document.title = 'wide ' + frame.contentDocument.documentElement.scrollWidth; };"
        f"frame.srcdoc = {_script_text(inner)};</script>",
        encoding="utf-8",
    )
    dom = run_browser(browser, tmp_path / "profile", "--dump-dom", "--window-size=1400,1000", outer.as_uri())
    width_of_page = re.search(r"<title>wide (\d+)</title>", dom)
    assert width_of_page is not None, "the page did not load"
    assert 0 < int(width_of_page[1]) <= width


def test_it_fetches_nothing(browser: str, report: Path, tmp_path: Path) -> None:
    assert re.findall(r"https?://", report.read_text(encoding="utf-8")) == []
    log = tmp_path / "net.json"
    run_browser(browser, tmp_path / "profile", f"--log-net-log={log}", "--dump-dom", report.as_uri())
    schemes = set(re.findall(r'"url":"(\w+)://[^"]*report', log.read_text(encoding="utf-8")))
    assert schemes <= {"file"}


def test_it_prints_as_a_document(browser: str, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    run_browser(browser, tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={path}", report.as_uri())
    assert path.read_bytes().startswith(b"%PDF")


def _script_text(text: str) -> str:
    """A JavaScript string for use inside a script element."""
    escaped = text.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${").replace("</", "<\\/")
    return f"`{escaped}`"
