"""What hurts, whatever became of the sessions: refused requests, failed checks, users that ended at their start."""

from collections.abc import Iterator

from harness.report.charts.words import plural
from harness.results.errors import describe_errors, describe_wrong
from harness.results.summary import ArmFigures, DesignSummary, EndpointStats

#: Errors hurt from this share of all requests on: a fault causes some in any design.
_OF_ALL = {"control": 0.01, "fault": 0.1}
_OF_NAME = 0.1  # or from this share of the requests of one name
_MAX_PHRASES = 2


def describe_hurts(design: DesignSummary) -> list[str]:
    """What hurts without a fault; if nothing does, what hurts with it."""
    control, fault = design.arms.get("control"), design.arms.get("fault")
    if control is not None and (hurts := list(_describe_arm(control, _OF_ALL["control"]))):
        return [*hurts[:-1], f"{hurts[-1]} without a fault"] if fault else hurts
    return list(_describe_arm(fault, _OF_ALL["fault"])) if fault is not None else []


def _describe_arm(arm: ArmFigures, limit: float) -> Iterator[str]:
    counts = arm.requests
    if arm.users is not None and arm.users.ended:
        yield arm.users.describe()
    hurting = {name: stats for name, stats in arm.names.items() if _hurts(stats)}
    errors = counts.attempted - counts.ok
    are_many = errors > limit * counts.attempted
    phrases = describe_errors(arm.names, counts) if are_many else describe_errors(hurting)
    if are_many and not phrases:
        yield f"{errors:,} of {plural(counts.attempted, 'request')} failed or are in doubt"
    yield from phrases[:_MAX_PHRASES]
    yield from list(describe_wrong(arm.names))[:_MAX_PHRASES]


def _hurts(stats: EndpointStats) -> bool:
    return stats.requests - stats.ok > max(1, _OF_NAME * stats.requests)
