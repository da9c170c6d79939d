"""Standard input, output and error, which may be closed when a command starts."""

import os
import sys


def open_closed_streams() -> None:
    """Put the null device in the place of those that are closed: there is nothing to read, and nobody who reads.

    Otherwise the next file that is opened takes their number, and messages are written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)  # it may be the very number that was opened
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - a number
