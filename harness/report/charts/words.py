"""Figures in words, the same in charts, captions and the report."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from harness.common.intervals import upper_bound_of_none

UNMEASURED = "-"


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits, or all digits of a larger number: ``0.83``, ``12.4``, ``1,204``; a dash for None.

    Never with an exponent: ``0.0000497``.
    """
    if value is None:
        return UNMEASURED
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{Decimal(f'{value:.3g}'):f}"
    return f"{text} {unit}" if unit else text


def share(part: int, whole: int) -> str:
    """``33.5 %``, with enough digits to show that it is neither 0 nor 100 %."""
    if whole <= 0:
        return UNMEASURED
    value = 100 * part / whole
    text = f"{value:.1f}"
    if (text == "0.0" and part) or (text == "100.0" and part < whole):
        text = f"{value:.3g}" if value < 50 else f"{value:.4f}"
    return f"{text} %"


def format_ratio(part: int, whole: int) -> str:
    """``67 of 200 (33.5 %)``; a zero comes with the upper bound of its rate."""
    if whole <= 0:
        return "none seen"
    if part == 0:
        return f"0 of {whole:,} (95 % upper bound {100 * upper_bound_of_none(whole):.2g} %)"
    return f"{part:,} of {whole:,} ({share(part, whole)})"


def plural(count: int, noun: str) -> str:
    """``1 session``, ``2 sessions``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: Sequence[str], most: int = 5) -> str:
    """``a``, ``a and b``, ``a, b and c``; with more than ``most`` of them ``a, b, c, d and 8 more``."""
    parts = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1:,} more"]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) or "none"


def describe_more_losers(losses: Sequence[tuple[int, int]]) -> str:
    """``8 more designs lost 536 of 1,600``, from the lost and the judged sessions of each."""
    lost, judged = (sum(counts) for counts in zip(*losses, strict=True))
    return f"{plural(len(losses), 'more design')} lost {lost:,} of {judged:,}"


def describe_kept(judged: Mapping[str, int], most: int = 5) -> str:
    """``a and b lost none of 400 sessions``, from the judged sessions of each design."""
    return f"{listed(list(judged), most)} lost none of {plural(sum(judged.values()), 'session')}"
