"""The short form of a scenario, which ``--quick`` runs."""

import math
from dataclasses import replace

from harness.common.durations import parse_seconds
from harness.scenario import rates
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Load, Sessions

#: The share of its users that a shortened closed load keeps.
_USERS_SHARE = 0.8


def quick_form(scenario: Scenario) -> Scenario:
    """The scenario named by its ``quick``, or the scenario itself, shortened to the duration given by ``quick``.

    All times shrink in proportion: the warm-up, the times of the faults, the steps of a rate. Durations inside a
    fault, such as the grace of a drain, stay. A closed load has four fifths of the users.
    Raises:
        UsageError: the short form is not valid.
    """
    if isinstance(scenario.quick, Scenario):
        return scenario.quick
    factor = parse_seconds(scenario.quick) / parse_seconds(scenario.load.duration)
    if factor >= 1:
        return scenario
    faults = [replace(at, when=_scaled(at.when, factor)) for at in scenario.faults]
    return replace(scenario, load=_shortened(scenario.load, factor), faults=faults)


def _shortened(load: Load, factor: float) -> Load:
    duration, warmup = _scaled(load.duration, factor), _scaled(load.warmup, factor)
    if isinstance(load, Sessions) and load.concurrent is not None:
        users = math.ceil(_USERS_SHARE * load.concurrent)
        return replace(load, concurrent=users, duration=duration, warmup=warmup)
    assert load.rate is not None  # noqa: S101 - every load but a closed one has a rate
    return replace(load, rate=rates.scale_time(load.rate, factor), duration=duration, warmup=warmup)


def _scaled(duration: str, factor: float) -> str:
    return f"{factor * parse_seconds(duration):.3f}s"
