"""Figures that contradict each other cannot be made."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import charts as fakes

SESSIONS = fakes.arm(fakes.TRIO[0], "fault").sessions


@pytest.mark.parametrize("part", ["at_risk", "expected_lost", "lost", "rolled_back", "stale", "leaked", "forced_login"])
def test_no_more_sessions_suffered_than_were_judged(part: str) -> None:
    whole: dict[str, Any] = {part: 200}
    more: dict[str, Any] = {part: 201}
    assert getattr(replace(SESSIONS, **whole), part) == SESSIONS.judged
    with pytest.raises(ValueError, match=f"{part} is 201 of 200"):
        replace(SESSIONS, **more)
