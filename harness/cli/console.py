"""Standard output for rich's tables. Imported only when something is printed: rich takes a while to load."""

import sys

from harness.common.console import SafeConsole

WIDE = 150


def open_console() -> SafeConsole:
    """Standard output; in a log or a pipe, wide enough for tables."""
    return SafeConsole(width=None if sys.stdout.isatty() else WIDE)
