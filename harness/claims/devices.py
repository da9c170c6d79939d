"""The claim about consistency: C10."""

from collections.abc import Mapping

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError

#: All of its designs, not just those of its short form: docs/decide.md tells of each place.
DEVICES = RequiredRun("two_devices", ("run", "scenarios/two_devices.py", "--duration", "3s"), budget=300)
_CHECKED = "_checked"


def _two_devices(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("two_devices", name, "control") for name in runs.summary("two_devices").designs}
    checked = {name: arm for name, arm in arms.items() if f"{name}{_CHECKED}" not in arms}
    unchecked = {name: arm for name, arm in arms.items() if name not in checked}
    if not unchecked:
        raise UnsettledError("it takes designs with and without a version check; run the scenario whole")
    points = [ClaimPoint.share(name, arm.writes.lost, arm.writes.acknowledged) for name, arm in arms.items()]
    refused = sum(arm.requests.failed for arm in checked.values())
    overwritten = ", ".join(
        f"{name} {arm.writes.lost:,} of {arm.writes.acknowledged:,}" for name, arm in unchecked.items()
    )
    left = sum(arm.writes.lost for arm in checked.values())
    of = sum(arm.writes.acknowledged for arm in checked.values())
    says = (
        f"acknowledged and overwritten by the other device: {overwritten}; where versions are checked {left:,} of "
        f"{of:,}, and {refused:,} writes were refused instead"
    )
    holds = left == 0 and all(arm.writes.lost for arm in unchecked.values())
    return ClaimFinding.of(holds, says, "% of acknowledged writes lost", points)


def safety(runs: Runs) -> Mapping[str, str]:
    """Of each place that was tried: who writes safely at once, in words; empty where nothing was tried."""
    try:
        designs = runs.summary("two_devices").designs
        lost = {name: runs.arm("two_devices", name, "control").writes.lost for name in designs}
    except UnsettledError:
        return {}
    return {name: _safe(count, lost.get(f"{name}{_CHECKED}")) for name, count in lost.items() if _CHECKED not in name}


def _safe(lost: int, checked: int | None) -> str:
    if lost == 0:
        return "safe"
    return f"safe with a version check, else {lost:,} lost" if checked == 0 else f"{lost:,} lost"


CLAIMS = (
    Claim(
        "C10", "for stateless services consistency is no issue, for stateful ones it must be ensured", "5",
        "two devices write one session at once, with and without a version check",
        "without a check acknowledged writes are overwritten, in every store; with one, none",
        (DEVICES,), _two_devices,
    ),
)  # fmt: skip
