"""With ``HARNESS_REQUIRE=all`` a test that would be skipped fails: where everything is there, nothing is left out."""

import gc
import os
import signal
from collections.abc import Generator
from typing import TypeVar

import pytest

pytest_plugins = ["pytester", "tests.support.cluster"]  # the latter has the fixture ``cluster``

# Under nohup SIGHUP is ignored, and what a test starts would inherit that; several tests end a program with it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: modules, and thousands of tests."""
    gc.freeze()


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _held_to_it(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("HARNESS_REQUIRE") == "all":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"HARNESS_REQUIRE=all, but: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip inside a test, a fixture or by a mark."""
    return _held_to_it((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A skip of a whole module."""
    return _held_to_it((yield))
