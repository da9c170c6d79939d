"""The claim about consistency, on synthetic runs."""

from dataclasses import replace

from harness import claims
from harness.claims import ClaimVerdict, Runs, devices
from harness.results.summary import ArmFigures
from tests.support import charts as fakes

SUMMARY = fakes.summary()
STICKY = SUMMARY.designs["sticky"]
[C10] = claims.select(["C10"])


def arm(lost: int) -> ArmFigures:
    control = STICKY.arms["control"]
    return replace(control, writes=replace(control.writes, acknowledged=1000, lost=lost))


def runs(**lost: int) -> Runs:
    designs = {name: replace(STICKY, arms={"control": arm(count)}) for name, count in lost.items()}
    return Runs(
        {"two_devices": replace(SUMMARY, designs=designs, controls=replace(SUMMARY.controls, calibration=None))}
    )


def test_two_devices_overwrite_each_other_unless_versions_are_checked() -> None:
    finding = C10.evaluate(runs(memory=0, redis=90, redis_checked=0))
    assert finding.verdict is ClaimVerdict.LIMITED
    assert [(point.label, point.value) for point in finding.points] == [
        ("memory", 0),
        ("redis", 9),
        ("redis_checked", 0),
    ]
    assert "redis 90 of 1,000" in finding.says and "0 of 2,000" in finding.says


def test_a_checked_write_that_is_lost_or_none_without_a_check_refutes_it() -> None:
    assert C10.evaluate(runs(redis=90, redis_checked=1)).verdict is ClaimVerdict.REFUTED
    assert C10.evaluate(runs(redis=0, redis_checked=0)).verdict is ClaimVerdict.REFUTED


def test_without_a_design_that_checks_no_versions_the_claim_is_unknown() -> None:
    assert C10.evaluate(runs(redis_checked=0)).verdict is ClaimVerdict.UNKNOWN


def test_every_place_has_its_safety() -> None:
    assert devices.describe_safety(runs(memory=0, redis=90, redis_checked=0, nats=7, nats_checked=1)) == {
        "memory": "safe",
        "redis": "safe with a version check, otherwise 90 lost",
        "nats": "7 lost",
    }
    assert devices.describe_safety(Runs()) == {}
