"""Common claims about stateless and stateful services, each tested by an experiment; ``harness claims`` runs them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.claims import (
    balancing,
    crash,
    decision_page,
    deploy,
    devices,
    durable,
    growth,
    login,
    payload,
    replication,
    report,
    sockets,
)
from harness.claims.attempt import attempt, list_required_runs
from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, ClaimVerdict, RequiredRun, Runs, UnsettledError
from harness.claims.report import ClaimResult, read_results
from harness.common.errors import UsageError
from harness.results.files import write_text

_TOPICS = (
    balancing,
    crash,
    deploy,
    devices,
    durable,
    growth,
    login,
    payload,
    replication,
    sockets,
)
#: Every claim, in the order of their ids.
CLAIMS: tuple[Claim, ...] = tuple(
    sorted((claim for topic in _TOPICS for claim in topic.CLAIMS), key=lambda claim: claim.id)
)


def select(ids: Sequence[str]) -> tuple[Claim, ...]:
    """Return the claims with these ids, or all claims if ``ids`` is empty.

    Raises:
        UsageError: there is no such claim.
    """
    known = {claim.id: claim for claim in CLAIMS}
    for name in ids:
        if name not in known:
            raise UsageError(f"there is no claim {name}", f"there are {', '.join(known)}")
    return tuple(claim for claim in CLAIMS if not ids or claim.id in ids)


def write_claims_page(results: Mapping[str, ClaimResult], docs: Path) -> None:
    """Write the page of all claims, its figures and its pictures."""
    report.write(CLAIMS, results, docs)


#: The runs that docs/decide.md is made from.
DECISION_RUNS = (decision_page.PLACES, devices.DEVICES)


def write_decision_page(runs: Runs, docs: Path) -> Path:
    """Write decide.md into ``docs`` and return its path."""
    docs.mkdir(parents=True, exist_ok=True)
    write_text(docs / "decide.md", decision_page.page(runs, devices.describe_safety(runs)))
    return docs / "decide.md"


__all__ = [
    "CLAIMS",
    "DECISION_RUNS",
    "Claim",
    "ClaimFinding",
    "ClaimPoint",
    "ClaimResult",
    "ClaimVerdict",
    "RequiredRun",
    "Runs",
    "UnsettledError",
    "attempt",
    "list_required_runs",
    "read_results",
    "select",
    "write_claims_page",
    "write_decision_page",
]  # fmt: skip
