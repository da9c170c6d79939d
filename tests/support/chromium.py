"""A headless Chromium for tests that need a browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing(what: str, command: str) -> None:
    """Skip with the command that installs it; fail if HARNESS_REQUIRE permits nothing to be missing."""
    message = f"no {what}: {command}"
    if os.environ.get("HARNESS_REQUIRE") == "all":
        pytest.fail(message)
    pytest.skip(message)


def find_chromium() -> str:
    """The path of the installed Chromium or Chrome; skips the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium", "apt-get install chromium")
    return str(path)


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """The installed Chromium for the length of a scope; skips the test where there is none."""
    path = find_chromium()
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=[*QUIET, *arguments])
        yield opened
        opened.close()
