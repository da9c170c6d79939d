"""Where should session state live? A load and fault benchmark that answers with evidence.

A scenario file imports its words from here::

    from harness import At, Design, Kill, Restart, Scenario, Sessions, SessionUser

``SessionUser`` is looked up on first use: it imports Locust, which the readers of a run never need. So are ``run`` and
``arun``, which run a scenario from Python.
"""

import importlib
from typing import TYPE_CHECKING, Any

from harness.common.limits import Limits
from harness.common.version import __version__
from harness.faults import (
    Autoscale,
    Bandwidth,
    CrashLoop,
    CutReplication,
    DropReplies,
    Evict,
    Heal,
    HoldReplies,
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
    ResetConnections,
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
    Start,
    Terminate,
    TruncateTail,
    Undo,
)
from harness.faults.random_faults import random_faults
from harness.scenario.balancing import Balancing, Health
from harness.scenario.design import Design
from harness.scenario.expectations import (
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
from harness.scenario.faults import At
from harness.scenario.rates import Ramp, Steps, Trace
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn, Command, Compose, Image, Url
from harness.scenario.workload import Requests, Sessions

if TYPE_CHECKING:
    from harness.load.locustfiles.session_user import Client, SessionUser, between, constant
    from harness.runner.library import Results, arun, run

__all__ = [
    "At",
    "Autoscale",
    "Balancing",
    "Bandwidth",
    "BuiltIn",
    "Client",
    "Command",
    "Compose",
    "CrashLoop",
    "CutReplication",
    "Design",
    "DropReplies",
    "Evict",
    "Heal",
    "Health",
    "HoldReplies",
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
    "ResetConnections",
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
    "Start",
    "Steps",
    "Terminate",
    "Trace",
    "TruncateTail",
    "Undo",
    "Url",
    "__version__",
    "arun",
    "between",
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
    "random_faults",
    "recovers",
    "run",
    "settles",
    "stays_down",
    "surges",
]


_DEFERRED = {
    **dict.fromkeys(("Client", "SessionUser", "between", "constant"), "harness.load.locustfiles.session_user"),
    **dict.fromkeys(("Results", "arun", "run"), "harness.runner.library"),
}


def __getattr__(name: str) -> Any:
    """Import what is heavy only where it is asked for."""
    if name in _DEFERRED:
        return getattr(importlib.import_module(_DEFERRED[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
