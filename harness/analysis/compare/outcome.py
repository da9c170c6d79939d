"""What a comparison says, of one thing or of all."""

import enum
from collections.abc import Iterable


class ComparisonOutcome(enum.StrEnum):
    """From the gravest to the best. Fail outweighs unknown, unknown outweighs pass."""

    REGRESSION = "regression"
    NOT_COMPARABLE = "not comparable"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"

    @property
    def exit_code(self) -> int:
        """The process's exit code, by the contract."""
        return {ComparisonOutcome.REGRESSION: 1, ComparisonOutcome.IMPROVED: 0, ComparisonOutcome.EQUIVALENT: 0}.get(
            self, 3
        )


def find_gravest(outcomes: Iterable[ComparisonOutcome]) -> ComparisonOutcome:
    """The gravest of them; ``equivalent`` of none."""
    return min(outcomes, key=list(ComparisonOutcome).index, default=ComparisonOutcome.EQUIVALENT)
