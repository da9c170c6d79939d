"""What was done, in words: the first sentence of a report, and where each design keeps its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from harness.report.charts.words import listed, number, plural
from harness.results.plan import RunPlan
from harness.results.summary import DesignSummary, FaultFigures, Summary

#: Where a built-in target keeps sessions; any other state is the name of a server.
_STATES = {
    "memory": "the memory of each replica",
    "token": "the client's token",
    "none": "nowhere",
    "faulty": "memory, with seeded bugs",
}
_POLICIES = {"cookie": "sticky by cookie", "round_robin": "round robin", "least_connections": "least connections"}


@dataclass(frozen=True)
class Setting:
    """The part of a run's plan that a reader needs first."""

    started: str = ""  # ISO 8601
    load: str = ""  # such as "160 users for 3.5 s"
    balancers: Mapping[str, str] = field(default_factory=dict)  # by design, such as "haproxy 2.8.5"
    must_fail: frozenset[str] = frozenset()  # designs that show that the harness notices

    @classmethod
    def of(cls, plan: RunPlan) -> "Setting":
        """From the plan of a run."""
        users, rate = plan.load.get("concurrent"), plan.load.get("rate")
        offered = plural(users, "user") if isinstance(users, int) else "an open load"
        if isinstance(rate, int | float):
            offered = f"{number(rate)} requests/s"
        inside = plan.flags.get("load_inside")
        offered += f" for {number(plan.duration_s, 's')}"
        offered += f" from {plural(inside, 'pod')} of the cluster" if isinstance(inside, int) and inside else ""
        return cls(plan.started, offered, plan.balancers, plan.must_fail)

    def describe(self, summary: Summary) -> str:
        """``5 designs of 3 replicas behind haproxy 2.8.5, with and without a kill of r1 at 7 s; 200 users ...``."""
        replicas = {design.describe.get("replicas") for design in summary.designs.values()} - {None, 0}
        parts = [plural(len(summary.designs), "design")]
        if len(replicas) == 1:
            parts[0] += f" of {plural(int(str(*replicas)), 'replica')}"
        if self.balancers:
            parts[0] += f" behind {listed(sorted(set(self.balancers.values())))}"
        parts[0] += _describe_faults(summary)
        parts += filter(None, [self.load, _describe_date(self.started)])
        return f"{'; '.join(parts)}."


def _describe_faults(summary: Summary) -> str:
    """The faults of the first design that had any; those of the others differ by milliseconds."""
    arms = [design.arms.get("fault") for design in summary.designs.values()]
    faults = next((arm.faults for arm in arms if arm is not None and arm.faults), ())
    if not faults:
        return ", without a fault"
    both = "with and without" if any("control" in design.arms for design in summary.designs.values()) else "with"
    return f", {both} {listed([describe_fault(fault) for fault in faults], 3)}"


def describe_fault(fault: FaultFigures) -> str:
    """``a kill of r1 at 7 s, undone at 13 s``."""
    kind = fault.kind.replace("_", " ")
    article = "an" if kind[:1] in "aeiou" else "a"
    at = "" if fault.effective is None else f" at {number(fault.effective, 's')}"
    undone = "" if fault.healed is None else f" (undone at {number(fault.healed, 's')})"
    return f"{article} {kind} of {fault.target}{at}{undone}"


def _describe_date(started: str) -> str:
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return ""
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def describe_place(design: DesignSummary) -> str:
    """Where a design's state lives and how it is balanced: ``state in redis; sticky by cookie``."""
    facts = design.describe
    state, policy = facts.get("state"), str(facts.get("policy", ""))
    where = f"state in {_STATES.get(str(state), str(state))}" if state else f"your {facts.get('target', 'service')}"
    if not state and facts.get("store"):
        where += f" with {facts['store']}"
    return "; ".join(filter(None, [where, _POLICIES.get(policy, policy.replace("_", " "))]))
