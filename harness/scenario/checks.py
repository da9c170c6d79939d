"""Checks of the values in a scenario."""

from harness.common.errors import UsageError


def require(holds: bool, message: str, hint: str = "docs/scenarios.md says what each value may be") -> None:
    """Raise UsageError unless the condition ``holds``."""
    if not holds:
        raise UsageError(message, hint)
