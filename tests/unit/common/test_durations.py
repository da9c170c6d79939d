"""Durations as people write and say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.common.durations import format_duration, parse_seconds
from harness.common.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20s", 20.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1m30s", 90.0),
        ("1h1m1s", 3661.0),
        ("0.5s", 0.5),
        (7, 7.0),
        (0.25, 0.25),
    ],
)
def test_common_spellings_of_durations_are_read(text: str | float, expected: float) -> None:
    assert parse_seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "20", "s", "20 s", "-1s", "1s2", "x1s", "1d", "1S", "1..5s", "²s"])
def test_anything_else_is_refused_with_the_text_and_an_example(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_seconds(text)
    assert repr(text) in refused.value.message
    assert "20s" in refused.value.hint


@given(st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(minutes: int, whole: int, milli: int) -> None:
    assert parse_seconds(f"{minutes}m{whole}s{milli}ms") == pytest.approx(minutes * 60 + whole + milli / 1000)


@pytest.mark.parametrize(("length", "said"), [(0, "0 s"), (20, "20 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s")])
def test_durations_are_said_in_minutes_and_seconds(length: float, said: str) -> None:
    assert format_duration(length) == said
