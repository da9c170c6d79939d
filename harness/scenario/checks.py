"""TODO: harness.scenario.checks."""

from harness.common.errors import UsageError


def _require(holds: bool, message: str, hint: str = "docs/scenarios.md says what each value may be") -> None:
    if not holds:
        raise UsageError(message, hint)
