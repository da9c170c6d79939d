"""The claim about consistency: C10."""

from collections.abc import Mapping

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError

#: With all of the scenario's designs, not just those of its short form, because docs/decide.md shows every place.
DEVICES = RequiredRun("two_devices", ("run", "scenarios/two_devices.py", "--duration", "3s"), timeout_s=300)
_CHECKED = "_checked"  # suffix of a design that checks versions; without it, the same design that does not


def _judge_consistency(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("two_devices", name, "control") for name in runs.summary("two_devices").designs}
    writes = {name: arm.writes for name, arm in arms.items()}
    unchecked = {name: figures for name, figures in writes.items() if f"{name}{_CHECKED}" in writes}
    checked = {name: figures for name, figures in writes.items() if name not in unchecked}
    if not unchecked:
        raise UnsettledError("it needs designs with and without a version check; run all designs of the scenario")
    refused = sum(arms[name].requests.failed for name in checked)
    lost_checked = sum(figures.lost for figures in checked.values())
    acknowledged = sum(figures.acknowledged for figures in checked.values())
    losses = ", ".join(f"{name} {figures.lost:,} of {figures.acknowledged:,}" for name, figures in unchecked.items())
    says = (
        f"acknowledged and overwritten by the other device: {losses}; where versions are checked "
        f"{lost_checked:,} of {acknowledged:,}, and {refused:,} writes were refused instead"
    )
    points = [ClaimPoint.share(name, figures.lost, figures.acknowledged) for name, figures in writes.items()]
    holds = lost_checked == 0 and all(figures.lost for figures in unchecked.values())
    return ClaimFinding.supported_if(holds, says, "% of acknowledged writes lost", points)


def describe_safety(runs: Runs) -> Mapping[str, str]:
    """By place, whether two devices can write at once without losing updates; empty if there is no such run."""
    try:
        designs = runs.summary("two_devices").designs
        lost = {name: runs.arm("two_devices", name, "control").writes.lost for name in designs}
    except UnsettledError:
        return {}
    return {
        name: _describe_losses(count, lost.get(f"{name}{_CHECKED}"))
        for name, count in lost.items()
        if _CHECKED not in name
    }


def _describe_losses(lost: int, lost_checked: int | None) -> str:
    if lost == 0:
        return "safe"
    if lost_checked == 0:
        return f"safe with a version check, otherwise {lost:,} lost"
    return f"{lost:,} lost"


CLAIMS = (
    Claim(
        "C10", "for stateless services consistency is no issue, for stateful ones it must be ensured", "5",
        "two devices write one session at once, with and without a version check",
        "without a check acknowledged writes are overwritten in every store; with a check none are",
        (DEVICES,), _judge_consistency,
    ),
)  # fmt: skip
