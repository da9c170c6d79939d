"""Common claims about stateless and stateful services, each tested by an experiment; ``harness claims`` runs them.

This loads the claims alone: ``attempt`` makes their runs, ``report`` and ``decision_page`` write pages.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.claims import (
    balancing,
    counters,
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
from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, ClaimVerdict, RequiredRun, Runs, UnsettledError
from harness.common.errors import UsageError

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
    replace(claim, counter=counters.COUNTERS.get(claim.id))
    for claim in sorted((claim for topic in _TOPICS for claim in topic.CLAIMS), key=lambda claim: claim.id)
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


__all__ = [
    "CLAIMS",
    "Claim",
    "ClaimFinding",
    "ClaimPoint",
    "ClaimVerdict",
    "RequiredRun",
    "Runs",
    "UnsettledError",
    "select",
]  # fmt: skip
