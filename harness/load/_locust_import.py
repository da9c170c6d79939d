"""Imports Locust without monkey patching, for processes that Locust does not own: tests, notebooks, the harness.

If Locust was imported before (by its own command, or in the load process), nothing changes.
"""

import os
import sys

_SKIP_PATCH_VARIABLE = "LOCUST_SKIP_MONKEY_PATCH"

if "locust" not in sys.modules:
    _previous = os.environ.get(_SKIP_PATCH_VARIABLE)
    os.environ[_SKIP_PATCH_VARIABLE] = "1"
    try:
        import locust  # noqa: F401 - loads it, without its side effect
    finally:
        os.environ.pop(_SKIP_PATCH_VARIABLE)
        if _previous is not None:
            os.environ[_SKIP_PATCH_VARIABLE] = _previous
