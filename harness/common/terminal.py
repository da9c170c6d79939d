"""What reaches the terminal. Names, headers, replies and logs are text of others: it is shown, and never obeyed.

Everything that the harness prints goes through ``show``, ``note`` or the consoles of ``harness.common.console``.
"""

import re
import sys
from typing import TextIO

#: Control characters but for tabs and line ends, the marks that reverse the direction of text, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with every character that a terminal would obey written as an escape, such as ``\\x1b``."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def show(text: str, end: str = "\n") -> None:
    """Print a result to standard output."""
    write(sys.stdout, text, end)


def note(text: str, end: str = "\n") -> None:
    """Print progress, a question or a problem to standard error."""
    write(sys.stderr, text, end)


def write(stream: TextIO, text: str, end: str = "\n") -> None:
    """Print to a stream that may be a terminal."""
    encoding = stream.encoding or "utf-8"
    stream.write((visible(text) + end).encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
