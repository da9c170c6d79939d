"""A claim about how services are deployed: C13."""

from harness.claims.claim import Claim, Finding, Need, Point, Runs
from harness.summary import Sessions

PET = Need("pet")


def _pets(runs: Runs) -> tuple[bool, str, list[Point]]:
    """Whether a pet keeps its sessions with its volume and loses them without: that, in words, and the points."""
    kept, lost = (runs.arm("pet", name).sessions for name in ("volume_kept", "volume_lost"))
    points = [
        Point.share("a pet with its volume", kept.lost, kept.judged, 0.0),
        Point.share("a pet without it", lost.lost, lost.judged, 100 * (lost.at_risk or 0) / max(1, lost.judged)),
    ]
    says = (
        f"a killed pet that came back with its volume lost {kept.lost} of {kept.judged} sessions, without it "
        f"{lost.lost} of {lost.judged}, {lost.at_risk} of which it had held"
    )
    return kept.lost == 0 and _just_its_own(lost), says, points


def _just_its_own(sessions: Sessions) -> bool:
    return sessions.lost > 0 and sessions.lost_not_at_risk == sessions.at_risk_not_lost == 0


def _by_identity(runs: Runs) -> Finding:
    holds, says, points = _pets(runs)
    return Finding.of(holds, says, "% of sessions lost", points)


CLAIMS = (
    Claim(
        "C13", "stateful services are deployed as pets with stable identity and storage", "10, 8",
        "kill -9 of one of three replicas that alone answers its sessions; it comes back with its volume, or without",
        "a pet whose volume comes back keeps every session, one whose volume is lost loses its own",
        (PET,), _by_identity,
    ),
)  # fmt: skip
