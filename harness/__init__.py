"""Where should session state live? A load and fault benchmark that answers with evidence.

A scenario file imports its words from here::

    from harness import At, Design, Kill, Restart, Scenario, Sessions, SessionUser

Every name is imported on first use, so that readers of a run never load Locust, and ``harness --help`` loads nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from harness.common.version import __version__

if TYPE_CHECKING:
    from harness.common.limits import (
        Limits,
    )
    from harness.faults import (
        Autoscale,
        Bandwidth,
        CrashLoop,
        CutReplication,
        DrainNode,
        DropReplies,
        Evict,
        Heal,
        HoldReplies,
        Kill,
        KillBalancer,
        KillPrimary,
        KillStore,
        Latency,
        LoseNode,
        LoseVolume,
        Partition,
        Pause,
        PauseStore,
        ReloadBalancer,
        ResetConnections,
        Resize,
        Restart,
        Resume,
        RollingDeploy,
        RollingRestart,
        RotateKeys,
        ScaleIn,
        ScaleOut,
        Shell,
        Slow,
        Start,
        Terminate,
        TruncateTail,
    )
    from harness.faults.random_faults import (
        random_faults,
    )
    from harness.load.http.client import (
        OP,
    )
    from harness.load.locustfiles.session_user import (
        Client,
        Request,
        Response,
        SessionSteps,
        SessionUser,
        Sleep,
        between,
        constant,
    )
    from harness.load.sessions.behaviour import (
        parse_tally,
    )
    from harness.load.sessions.carriers import (
        Bearer,
        Body,
        Cookie,
        Header,
        Path,
        Query,
    )
    from harness.load.sessions.gone import (
        JsonRpcError,
        Status,
    )
    from harness.oracle.observed import (
        Observed,
    )
    from harness.runner.library import (
        Results,
        arun,
        run,
    )
    from harness.scenario.balancing import (
        Balancing,
        Health,
    )
    from harness.scenario.design import (
        Design,
    )
    from harness.scenario.expectations import (
        availability_above,
        clean_control,
        delivers,
        errors_below,
        finds,
        keeps,
        leaves_half_done,
        loses_at_most,
        loses_messages,
        loses_only_the_at_risk,
        loses_the_at_risk,
        may_lose,
        moves_a_share,
        p50_below,
        p90_below,
        p99_below,
        p999_below,
        recovers,
        settles,
        stays_down,
        surges,
        throughput_above,
    )
    from harness.scenario.faults import (
        At,
    )
    from harness.scenario.kubernetes import (
        Kubernetes,
    )
    from harness.scenario.overrides import (
        Overrides,
    )
    from harness.scenario.rates import (
        Ramp,
        Steps,
        Trace,
    )
    from harness.scenario.scenario import (
        Scenario,
    )
    from harness.scenario.services import (
        BuiltIn,
        Command,
        Compose,
        Image,
        Url,
    )
    from harness.scenario.termination import (
        Termination,
    )
    from harness.scenario.workload import (
        Requests,
        Sessions,
    )

__all__ = [
    "OP",
    "At",
    "Autoscale",
    "Balancing",
    "Bandwidth",
    "Bearer",
    "Body",
    "BuiltIn",
    "Client",
    "Command",
    "Compose",
    "Cookie",
    "CrashLoop",
    "CutReplication",
    "Design",
    "DrainNode",
    "DropReplies",
    "Evict",
    "Header",
    "Heal",
    "Health",
    "HoldReplies",
    "Image",
    "JsonRpcError",
    "Kill",
    "KillBalancer",
    "KillPrimary",
    "KillStore",
    "Kubernetes",
    "Latency",
    "Limits",
    "LoseNode",
    "LoseVolume",
    "Observed",
    "Overrides",
    "Partition",
    "Path",
    "Pause",
    "PauseStore",
    "Query",
    "Ramp",
    "ReloadBalancer",
    "Request",
    "Requests",
    "ResetConnections",
    "Resize",
    "Response",
    "Restart",
    "Results",
    "Resume",
    "RollingDeploy",
    "RollingRestart",
    "RotateKeys",
    "ScaleIn",
    "ScaleOut",
    "Scenario",
    "SessionSteps",
    "SessionUser",
    "Sessions",
    "Shell",
    "Sleep",
    "Slow",
    "Start",
    "Status",
    "Steps",
    "Terminate",
    "Termination",
    "Trace",
    "TruncateTail",
    "Url",
    "__version__",
    "arun",
    "availability_above",
    "between",
    "clean_control",
    "constant",
    "delivers",
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
    "parse_tally",
    "random_faults",
    "recovers",
    "run",
    "settles",
    "stays_down",
    "surges",
    "throughput_above",
]

#: The public names of each module.
_HOMES = {
    "harness.common.limits": ("Limits",),
    "harness.faults": (
        "Autoscale",
        "Bandwidth",
        "CrashLoop",
        "CutReplication",
        "DrainNode",
        "DropReplies",
        "Evict",
        "Heal",
        "HoldReplies",
        "Kill",
        "KillBalancer",
        "KillPrimary",
        "KillStore",
        "Latency",
        "LoseNode",
        "LoseVolume",
        "Partition",
        "Pause",
        "PauseStore",
        "ReloadBalancer",
        "ResetConnections",
        "Resize",
        "Restart",
        "Resume",
        "RollingDeploy",
        "RollingRestart",
        "RotateKeys",
        "ScaleIn",
        "ScaleOut",
        "Shell",
        "Slow",
        "Start",
        "Terminate",
        "TruncateTail",
    ),
    "harness.faults.random_faults": ("random_faults",),
    "harness.load.http.client": ("OP",),
    "harness.load.locustfiles.session_user": (
        "Client",
        "Request",
        "Response",
        "SessionSteps",
        "SessionUser",
        "Sleep",
        "between",
        "constant",
    ),
    "harness.load.sessions.behaviour": ("parse_tally",),
    "harness.load.sessions.carriers": ("Bearer", "Body", "Cookie", "Header", "Path", "Query"),
    "harness.load.sessions.gone": ("JsonRpcError", "Status"),
    "harness.oracle.observed": ("Observed",),
    "harness.runner.library": (
        "Results",
        "arun",
        "run",
    ),
    "harness.scenario.balancing": (
        "Balancing",
        "Health",
    ),
    "harness.scenario.design": ("Design",),
    "harness.scenario.expectations": (
        "availability_above",
        "clean_control",
        "delivers",
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
        "p999_below",
        "p99_below",
        "recovers",
        "settles",
        "stays_down",
        "surges",
        "throughput_above",
    ),
    "harness.scenario.faults": ("At",),
    "harness.scenario.kubernetes": ("Kubernetes",),
    "harness.scenario.overrides": ("Overrides",),
    "harness.scenario.rates": (
        "Ramp",
        "Steps",
        "Trace",
    ),
    "harness.scenario.scenario": ("Scenario",),
    "harness.scenario.services": (
        "BuiltIn",
        "Command",
        "Compose",
        "Image",
        "Url",
    ),
    "harness.scenario.termination": ("Termination",),
    "harness.scenario.workload": (
        "Requests",
        "Sessions",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
