"""Where everything is required, nothing is skipped."""

from pathlib import Path

import pytest

CONFTEST = (Path(__file__).resolve().parents[1] / "conftest.py").read_text()
QUIET = ("-p", "no:asyncio", "-p", "no:xdist", "-p", "no:hypothesispytest")
SKIPS = {
    "test_inside": "import pytest\ndef test_it():\n    pytest.skip('no browser')",
    "test_mark": "import pytest\n@pytest.mark.skip('no browser')\ndef test_it(): pass",
    "test_fixture": "import pytest\n@pytest.fixture\ndef it(): pytest.skip('no browser')\ndef test_it(it): pass",
    "test_module": "import pytest\npytest.skip('no browser', allow_module_level=True)",
    "test_expected": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False",
}


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with every kind of skip, and a test that is expected to fail."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**SKIPS)
    return pytester


def test_every_skip_fails_with_its_reason_where_all_is_required(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_REQUIRE", "all")
    result = project.runpytest(*QUIET, "--continue-on-collection-errors")
    result.assert_outcomes(failed=1, errors=3, xfailed=1)
    result.stdout.fnmatch_lines("HARNESS_REQUIRE=all, but: *no browser")


def test_elsewhere_a_skip_stays_a_skip(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_REQUIRE", raising=False)
    project.runpytest(*QUIET).assert_outcomes(skipped=4, xfailed=1)
