"""A fault of what a design lacks leaves that design alone, and a link has a proxy only where a fault needs it."""

import pytest

from harness.common.errors import UsageError
from harness.faults import Heal, Kill, KillStore, Latency, Partition
from harness.scenario.design import Design
from harness.scenario.expectations import keeps
from harness.scenario.expectations.thresholds import Threshold
from harness.scenario.faults import At
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Sessions

LOAD = Sessions(concurrent=1, duration="9s", warmup="1s")
HYBRID, STICKY = Design("hybrid", BuiltIn(state="redis")), Design("sticky", BuiltIn(state="memory"))


def _arms(*faults: At) -> dict[tuple[str, str], list[str]]:
    """The kinds of faults in every arm."""
    scenario = Scenario([HYBRID, STICKY], LOAD, faults=faults)
    return {(arm.design.name, arm.name): [at.fault.kind for at in arm.faults] for arm in scenario.arms()}


def _links(*faults: At) -> dict[str, tuple[str, ...]]:
    return {design.name: design.links for design in Scenario([HYBRID, STICKY], LOAD, faults=faults).designs}


def test_a_store_fault_leaves_a_design_without_a_store_its_control_arm_alone() -> None:
    assert _arms(At("2s", KillStore()), At("3s", Heal(KillStore()))) == {
        ("hybrid", "control"): [],
        ("hybrid", "fault"): ["kill_store", "heal"],
        ("sticky", "control"): [],
    }


def test_what_ends_a_fault_applies_where_the_fault_does() -> None:
    cut = Partition("r1-store")
    kinds = _arms(At("2s", Kill(1)), At("3s", cut), At("4s", Heal(cut)))
    assert kinds["hybrid", "fault"] == ["kill", "partition", "heal"]
    assert kinds["sticky", "fault"] == ["kill"]


def test_a_design_has_links_where_a_fault_needs_them_in_both_arms() -> None:
    assert _links(At("2s", Kill(1))) == {"hybrid": (), "sticky": ()}
    assert _links(At("2s", Latency("balancer-r1"))) == {"hybrid": ("balancer",), "sticky": ("balancer",)}
    assert _links(At("2s", Latency("store"))) == {"hybrid": ("store",), "sticky": ()}


def test_thresholds_of_the_command_line_join_what_the_scenario_expects_of_the_chosen_designs() -> None:
    scenario = Scenario([HYBRID, STICKY], LOAD, expect=[keeps("hybrid", "sticky")])
    added = Overrides(("sticky",), expect=(Threshold.parse("p99 < 200ms"),)).apply(scenario)
    assert added.expect == (keeps("sticky"), Threshold.parse("sticky: p99 < 200ms"))
    with pytest.raises(UsageError, match="'hybrid', which is no design"):
        Overrides(("sticky",), expect=(Threshold.parse("hybrid: p99 < 200ms"),)).apply(scenario)
