from collections.abc import Callable
from typing import Any

import pytest

from harness.oracle.verdict import SessionVerdict


@pytest.fixture
def judgement() -> Callable[..., SessionVerdict]:
    """A judgement of which only the named fields matter."""

    def make(**known: Any) -> SessionVerdict:
        return SessionVerdict(**{"session": 1, **known})

    return make
