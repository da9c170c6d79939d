"""Imports Locust without letting it patch a process that is not its own: a test, a notebook, the harness itself.

Where Locust was imported before (its own command, the load process), nothing changes.
"""

import os
import sys

_FLAG = "LOCUST_SKIP_MONKEY_PATCH"

if "locust" not in sys.modules:
    _before = os.environ.get(_FLAG)
    os.environ[_FLAG] = "1"
    try:
        import locust  # noqa: F401 - for its side effect, which here is none
    finally:
        os.environ.pop(_FLAG)
        if _before is not None:
            os.environ[_FLAG] = _before
