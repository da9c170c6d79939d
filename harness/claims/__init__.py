"""The claims of the seed document, each an experiment; ``harness claims`` attempts them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.claims import (
    balancing,
    crash,
    deciding,
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
from harness.claims.attempt import attempt, needs
from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, ClaimVerdict, RequiredRun, Runs, UnsettledError
from harness.claims.report import ClaimResult, read
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
#: Every claim that is attempted, in order.
CLAIMS: tuple[Claim, ...] = tuple(
    sorted((claim for topic in _TOPICS for claim in topic.CLAIMS), key=lambda claim: claim.id)
)


def chosen(ids: Sequence[str]) -> tuple[Claim, ...]:
    """The claims with these ids; all of them where none is given.

    Raises:
        UsageError: there is no such claim.
    """
    known = {claim.id: claim for claim in CLAIMS}
    for name in ids:
        if name not in known:
            raise UsageError(f"there is no claim {name}", f"there are {', '.join(known)}")
    return tuple(claim for claim in CLAIMS if not ids or claim.id in ids)


def write(found: Mapping[str, ClaimResult], docs: Path) -> None:
    """Write the page of all claims, its figures and its pictures."""
    report.write(CLAIMS, found, docs)


#: The runs that docs/decide.md is made from.
DECIDING = (deciding.PLACES, devices.DEVICES)


def decide(runs: Runs, docs: Path) -> Path:
    """Write decide.md into ``docs``, and say where it lies."""
    docs.mkdir(parents=True, exist_ok=True)
    write_text(docs / "decide.md", deciding.page(runs, devices.safety(runs)))
    return docs / "decide.md"


__all__ = [
    "CLAIMS",
    "DECIDING",
    "Claim",
    "ClaimFinding",
    "ClaimPoint",
    "ClaimResult",
    "ClaimVerdict",
    "RequiredRun",
    "Runs",
    "UnsettledError",
    "attempt",
    "chosen",
    "decide",
    "needs",
    "read",
    "write",
]  # fmt: skip
