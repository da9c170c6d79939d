from collections.abc import Callable
from typing import Any

import pytest

from harness.oracle.judge import Judgement


@pytest.fixture
def judgement() -> Callable[..., Judgement]:
    """A judgement of which only the named fields matter."""

    def make(**known: Any) -> Judgement:
        return Judgement(**{"session": 1, **known})

    return make
