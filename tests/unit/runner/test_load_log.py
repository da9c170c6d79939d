"""Locust's own line is found in its log, whatever stands around it."""

import pytest

from harness.runner.load_log import find_start_error

START = "[2026-11-29 09:14:36,768] vm/INFO/locust.main: Starting Locust 2.47.0\n"
TRACEBACK = """\
Traceback (most recent call last):
  File "mine.py", line 3, in f
    raise RuntimeError(
          ^^^^^^^^^^^^^
RuntimeError: listener broke

"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        (START, "Starting Locust 2.47.0"),
        (START + TRACEBACK, "RuntimeError: listener broke"),
        (TRACEBACK + START, "RuntimeError: listener broke"),
        (TRACEBACK + TRACEBACK.replace("listener broke", "then this"), "RuntimeError: then this"),
        (START + "[2026-11-29 09:14:36,768] vm/ERROR/root: Uncaught exception:\n" + TRACEBACK,
         "RuntimeError: listener broke"),
        (START + "[2026-11-29 09:14:36,769] vm/ERROR/locust.main: No User class found!\n", "No User class found!"),
        (START + "Could not find 'mine.py'.\n", "Could not find 'mine.py'."),
    ],
)  # fmt: skip
def test_the_line_that_says_why(log: str, line: str) -> None:
    assert find_start_error(log) == line
