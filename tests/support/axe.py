"""axe-core: which barriers a page puts in the way of a reader."""

import shutil
import subprocess
import tarfile
from pathlib import Path

from playwright.sync_api import Page

from tests.support.chromium import missing


def fetch_axe(directory: Path) -> str:
    """axe-core's script, from npm; skips the test where that cannot be had."""
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


def find_barriers(page: Page, axe: str) -> list[tuple[str, list[str]]]:
    """The serious and critical violations of a page whose policy is bypassed: the rule and the first elements."""
    page.evaluate(axe)
    violations = page.evaluate("async () => (await axe.run()).violations")
    serious = [violation for violation in violations if violation["impact"] in ("serious", "critical")]
    return [(barrier["id"], [node["html"][:200] for node in barrier["nodes"]][:3]) for barrier in serious]
