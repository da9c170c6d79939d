"""Durations as people write them: ``20s``, ``500ms``, ``2m``."""

import math
import re

from harness.common.errors import UsageError

#: The longest duration: thirty days.
MAX_SECONDS = 30 * 24 * 3600.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def parse_seconds(text: str | float) -> float:
    """The seconds in ``"1m30s"``, ``"500ms"``, ``"20s"`` or a plain number.

    Raises:
        UsageError: the text is not a duration.
    """
    seconds = math.nan
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    elif isinstance(text, str):
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not abs(seconds) <= MAX_SECONDS:
        raise UsageError(f"{str(text)[:60]!r} is not a duration", "write it like 20s, 500ms or 1m30s, at most 720h")
    return seconds


def format_duration(length: float) -> str:
    """A duration in seconds, in words: ``3 min 20 s``."""
    whole = round(length)
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
