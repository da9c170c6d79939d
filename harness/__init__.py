"""Where should session state live? A load and fault benchmark that answers with evidence.

A scenario file imports its words from here::

    from harness import At, Design, Kill, Restart, Scenario, Sessions, SessionUser

``SessionUser`` is looked up on first use: it imports Locust, which the readers of a run never need.
"""

from typing import TYPE_CHECKING, Any

from harness.expectations import (
    clean_control,
    finds,
    keeps,
    loses_only_the_at_risk,
    loses_the_at_risk,
    moves_a_share,
    recovers,
    stays_down,
    surges,
)
from harness.faults import (
    Bandwidth,
    CrashLoop,
    Cut,
    Evict,
    Heal,
    Kill,
    KillBalancer,
    KillStore,
    Latency,
    Partition,
    Pause,
    PauseStore,
    ReloadBalancer,
    Restart,
    RestartBalancer,
    RestartStore,
    Resume,
    ResumeStore,
    RollingDeploy,
    ScaleIn,
    ScaleOut,
    Slow,
    Stall,
    Start,
    Terminate,
    Unacknowledged,
)
from harness.faults.chance import by_chance
from harness.scenario import At, Balancing, Design, Health, Requests, Scenario, Sessions

if TYPE_CHECKING:
    from harness.load.user import Client, SessionUser

__version__ = "0.1.0"

__all__ = [
    "At",
    "Balancing",
    "Bandwidth",
    "Client",
    "CrashLoop",
    "Cut",
    "Design",
    "Evict",
    "Heal",
    "Health",
    "Kill",
    "KillBalancer",
    "KillStore",
    "Latency",
    "Partition",
    "Pause",
    "PauseStore",
    "ReloadBalancer",
    "Requests",
    "Restart",
    "RestartBalancer",
    "RestartStore",
    "Resume",
    "ResumeStore",
    "RollingDeploy",
    "ScaleIn",
    "ScaleOut",
    "Scenario",
    "SessionUser",
    "Sessions",
    "Slow",
    "Stall",
    "Start",
    "Terminate",
    "Unacknowledged",
    "by_chance",
    "clean_control",
    "finds",
    "keeps",
    "loses_only_the_at_risk",
    "loses_the_at_risk",
    "moves_a_share",
    "recovers",
    "stays_down",
    "surges",
]


def __getattr__(name: str) -> Any:
    """Import ``SessionUser`` and ``Client``, and Locust with them, only where they are asked for."""
    if name in ("Client", "SessionUser"):
        from harness.load import user  # noqa: PLC0415 - deferred: it monkey-patches the process

        return getattr(user, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
