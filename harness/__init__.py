"""Where should session state live? A load and fault benchmark that answers with evidence.

A scenario file imports its words from here::

    from harness import At, Design, Kill, Restart, Scenario, Sessions, SessionUser

Every name is imported on first use: the readers of a run need no Locust, and ``harness --help`` needs none of it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.expectations import (
        clean_control,
        delivers,
        finds,
        keeps,
        leaves_half_done,
        loses_at_most,
        loses_messages,
        loses_only_the_at_risk,
        loses_the_at_risk,
        moves_a_share,
        recovers,
        settles,
        stays_down,
        surges,
    )
    from harness.faults import (
        Autoscale,
        Bandwidth,
        CrashLoop,
        Cut,
        CutReplication,
        Evict,
        Heal,
        Kill,
        KillBalancer,
        KillPrimary,
        KillStore,
        Latency,
        LoseVolume,
        Partition,
        Pause,
        PauseStore,
        ReloadBalancer,
        Restart,
        RestartBalancer,
        RestartPrimary,
        RestartStore,
        RestoreReplication,
        Resume,
        ResumeStore,
        RollingDeploy,
        RotateKeys,
        ScaleIn,
        ScaleOut,
        Shell,
        Slow,
        Stall,
        Start,
        Terminate,
        TornTail,
        Unacknowledged,
        Undo,
    )
    from harness.faults.chance import by_chance
    from harness.library import Results, arun, run
    from harness.limits import Limits
    from harness.load.user import Client, SessionUser, between, constant
    from harness.pace import Ramp, Steps, Trace
    from harness.scenario import At, Balancing, Design, Health, Requests, Scenario, Sessions
    from harness.targets import Command, Compose, Image, Url

__version__ = "0.1.0"

__all__ = [
    "At",
    "Autoscale",
    "Balancing",
    "Bandwidth",
    "Client",
    "Command",
    "Compose",
    "CrashLoop",
    "Cut",
    "CutReplication",
    "Design",
    "Evict",
    "Heal",
    "Health",
    "Image",
    "Kill",
    "KillBalancer",
    "KillPrimary",
    "KillStore",
    "Latency",
    "Limits",
    "LoseVolume",
    "Partition",
    "Pause",
    "PauseStore",
    "Ramp",
    "ReloadBalancer",
    "Requests",
    "Restart",
    "RestartBalancer",
    "RestartPrimary",
    "RestartStore",
    "RestoreReplication",
    "Results",
    "Resume",
    "ResumeStore",
    "RollingDeploy",
    "RotateKeys",
    "ScaleIn",
    "ScaleOut",
    "Scenario",
    "SessionUser",
    "Sessions",
    "Shell",
    "Slow",
    "Stall",
    "Start",
    "Steps",
    "Terminate",
    "TornTail",
    "Trace",
    "Unacknowledged",
    "Undo",
    "Url",
    "arun",
    "between",
    "by_chance",
    "clean_control",
    "constant",
    "delivers",
    "finds",
    "keeps",
    "leaves_half_done",
    "loses_at_most",
    "loses_messages",
    "loses_only_the_at_risk",
    "loses_the_at_risk",
    "moves_a_share",
    "recovers",
    "run",
    "settles",
    "stays_down",
    "surges",
]

_HOMES = {
    **dict.fromkeys(
        (
            "clean_control",
            "delivers",
            "finds",
            "keeps",
            "leaves_half_done",
            "loses_at_most",
            "loses_messages",
            "loses_only_the_at_risk",
            "loses_the_at_risk",
            "moves_a_share",
            "recovers",
            "settles",
            "stays_down",
            "surges",
        ),
        "harness.expectations",
    ),
    **dict.fromkeys(
        (
            "Autoscale",
            "Bandwidth",
            "CrashLoop",
            "Cut",
            "CutReplication",
            "Evict",
            "Heal",
            "Kill",
            "KillBalancer",
            "KillPrimary",
            "KillStore",
            "Latency",
            "LoseVolume",
            "Partition",
            "Pause",
            "PauseStore",
            "ReloadBalancer",
            "Restart",
            "RestartBalancer",
            "RestartPrimary",
            "RestartStore",
            "RestoreReplication",
            "Resume",
            "ResumeStore",
            "RollingDeploy",
            "RotateKeys",
            "ScaleIn",
            "ScaleOut",
            "Shell",
            "Slow",
            "Stall",
            "Start",
            "Terminate",
            "TornTail",
            "Unacknowledged",
            "Undo",
        ),
        "harness.faults",
    ),
    **dict.fromkeys(("by_chance",), "harness.faults.chance"),
    **dict.fromkeys(("Limits",), "harness.limits"),
    **dict.fromkeys(
        (
            "Ramp",
            "Steps",
            "Trace",
        ),
        "harness.pace",
    ),
    **dict.fromkeys(
        (
            "At",
            "Balancing",
            "Design",
            "Health",
            "Requests",
            "Scenario",
            "Sessions",
        ),
        "harness.scenario",
    ),
    **dict.fromkeys(
        (
            "Command",
            "Compose",
            "Image",
            "Url",
        ),
        "harness.targets",
    ),
    **dict.fromkeys(
        (
            "Results",
            "arun",
            "run",
        ),
        "harness.library",
    ),
    **dict.fromkeys(
        (
            "Client",
            "SessionUser",
            "between",
            "constant",
        ),
        "harness.load.user",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
