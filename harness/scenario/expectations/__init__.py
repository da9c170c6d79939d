"""What a scenario expects of its designs: data, each judged by a pure function of the summary.

A run keeps its expectations as JSON, so that it can be judged again without its scenario.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from harness.common.errors import UsageError
from harness.results.verdicts import Expectation, RecordedVerdicts, Verdict
from harness.scenario.expectations.errors import ControlErrors, JudgesSessions
from harness.scenario.expectations.expectation import Expect, zero
from harness.scenario.expectations.messages import (
    Delivers,
    LeavesHalfDone,
    LosesMessages,
    Settles,
    delivers,
    leaves_half_done,
    loses_messages,
    settles,
)
from harness.scenario.expectations.recovery import Recovers, StaysDown, Surges, recovers, stays_down, surges
from harness.scenario.expectations.sessions import (
    CleanControl,
    Finds,
    Keeps,
    LosesAtMost,
    LosesOnlyTheAtRisk,
    LosesTheAtRisk,
    MayLose,
    MovesAShare,
    clean_control,
    finds,
    keeps,
    loses_at_most,
    loses_only_the_at_risk,
    loses_the_at_risk,
    may_lose,
    moves_a_share,
    seconds_lost,
)
from harness.scenario.expectations.thresholds import (
    Threshold,
    availability_above,
    errors_below,
    p50_below,
    p90_below,
    p99_below,
    p999_below,
    throughput_above,
)

__all__ = [
    "KINDS",
    "Expect",
    "availability_above",
    "clean_control",
    "delivers",
    "encode",
    "errors_below",
    "finds",
    "keeps",
    "leaves_half_done",
    "loses_at_most",
    "loses_messages",
    "loses_only_the_at_risk",
    "loses_the_at_risk",
    "may_lose",
    "moves_a_share",
    "p50_below",
    "p90_below",
    "p99_below",
    "p999_below",
    "recall",
    "recovers",
    "seconds_lost",
    "settles",
    "stays_down",
    "surges",
    "throughput_above",
    "zero",
]

#: Every kind of expectation by its name.
KINDS: Mapping[str, type[Expect]] = {
    kind.name: kind
    for kind in (
        CleanControl,
        ControlErrors,
        Delivers,
        Finds,
        JudgesSessions,
        Keeps,
        LeavesHalfDone,
        LosesAtMost,
        LosesMessages,
        LosesOnlyTheAtRisk,
        LosesTheAtRisk,
        MayLose,
        MovesAShare,
        Recovers,
        Settles,
        StaysDown,
        Surges,
        Threshold,
    )
}


def encode(expectations: Sequence[Expectation]) -> list[dict[str, Any]]:
    """Expectations as plain values for run.json; one of a kind of the scenario's own is kept by its name alone."""
    return [
        {"expect": expectation.name, **msgspec.to_builtins(expectation)}
        if isinstance(expectation, Expect) and KINDS.get(expectation.name) is type(expectation)
        else {"expect": getattr(expectation, "name", type(expectation).__name__), "foreign": True}
        for expectation in expectations
    ]


def recall(encoded: Sequence[Mapping[str, Any]], recorded: Sequence[Verdict]) -> Sequence[Expectation]:
    """The expectations that ``encode`` returned; those of unknown kinds as their ``recorded`` verdicts.

    Raises:
        UsageError: an entry is not what ``encode`` writes.
    """
    return tuple(_recall(encoded, recorded))


def _recall(encoded: Sequence[Mapping[str, Any]], recorded: Sequence[Verdict]) -> Iterator[Expectation]:
    for index, entry in enumerate(encoded):
        name = str(entry.get("expect", ""))
        kind = None if entry.get("foreign") else KINDS.get(name)
        if kind is None:
            yield RecordedVerdicts(tuple(verdict for verdict in recorded if verdict.check == name))
            continue
        try:
            yield msgspec.convert({key: value for key, value in entry.items() if key != "expect"}, kind)
        except (msgspec.ValidationError, UsageError) as problem:
            what = f"expectation {index} ({name}) of the run is cut off or foreign: {problem}"
            raise UsageError(what, "run the scenario again") from problem
