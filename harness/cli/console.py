"""Standard output for rich's tables. Imported only when something is printed: rich takes a while to load."""

import sys

from rich.console import Console

WIDE = 150


class PipeConsole(Console):
    """A console that leaves a broken pipe to the command line; rich itself would end with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Pass the error on."""
        raise BrokenPipeError


def open_console() -> PipeConsole:
    """Standard output; in a log or a pipe, wide enough for tables."""
    return PipeConsole(width=None if sys.stdout.isatty() else WIDE)
