"""Where should session state live? A load and fault benchmark that answers with evidence.

A scenario file imports its words from here::

    from harness import At, Design, Kill, Restart, Scenario, Sessions, SessionUser

``SessionUser`` is looked up on first use: it imports Locust, which the readers of a run never need. So are ``run`` and
``arun``, which run a scenario from Python.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
from harness.limits import Limits
from harness.pace import Ramp, Steps, Trace
from harness.scenario import At, Balancing, Design, Health, Requests, Scenario, Sessions
from harness.targets import Command, Compose, Image, Url

if TYPE_CHECKING:
    from harness.library import Results, arun, run
    from harness.load.user import Client, SessionUser, between, constant

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


_DEFERRED = {
    **dict.fromkeys(("Client", "SessionUser", "between", "constant"), "harness.load.user"),
    **dict.fromkeys(("Results", "arun", "run"), "harness.library"),
}


def __getattr__(name: str) -> Any:
    """Import what is heavy only where it is asked for."""
    if name in _DEFERRED:
        return getattr(importlib.import_module(_DEFERRED[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
