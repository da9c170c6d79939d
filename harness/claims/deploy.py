"""Claims about how a service is run: C13, C14, C23."""

from collections.abc import Mapping

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, require_measured
from harness.results.summary import ArmFigures, SessionFigures

SERVERLESS, AUTOSCALE, NODE_KILL = (
    RequiredRun("serverless"),
    RequiredRun("autoscale", budget=200),
    RequiredRun("node_kill"),
)
PET = RequiredRun("pet")


def _pets(runs: Runs) -> tuple[bool, str, list[ClaimPoint]]:
    """Whether a pet keeps its sessions with its volume and loses them without: that, in words, and the points."""
    kept, lost = (runs.arm("pet", name).sessions for name in ("volume_kept", "volume_lost"))
    points = [
        ClaimPoint.share("a pet with its volume", kept.lost, kept.judged, 0.0),
        ClaimPoint.share("a pet without it", lost.lost, lost.judged, 100 * (lost.at_risk or 0) / max(1, lost.judged)),
    ]
    says = (
        f"a killed pet that came back with its volume lost {kept.lost} of {kept.judged} sessions, without it "
        f"{lost.lost} of {lost.judged}, {lost.at_risk} of which it had held"
    )
    return kept.lost == 0 and _just_its_own(lost), says, points


def _just_its_own(sessions: SessionFigures) -> bool:
    return sessions.lost > 0 and sessions.lost_not_at_risk == sessions.at_risk_not_lost == 0


def _functions(runs: Runs) -> tuple[bool, str, list[ClaimPoint]]:
    """Whether a cold start is dear and no session hangs on the process: that, in words, and the points."""
    arms = {name: runs.arm("serverless", name, "control") for name in ("cold", "warm", "running")}
    cold, warm, running = (
        require_measured(arm.service_ms.p50, f"the time of a call, {name}") for name, arm in arms.items()
    )
    cpu = {
        name: require_measured(arm.resources.cpu_ms_per_request, f"the CPU of a call, {name}")
        for name, arm in arms.items()
    }
    lost = sum(arm.sessions.lost + arm.writes.lost for arm in arms.values())
    says = (
        f"half of the calls took over {cold:.0f} ms where each had a process started for it, {warm:.1f} ms with a warm "
        f"pool and {running:.1f} ms with a process that always runs, and {cpu['cold']:.0f}, {cpu['warm']:.1f} and "
        f"{cpu['running']:.1f} ms of CPU"
    )
    sessions = arms["cold"].sessions
    points = [ClaimPoint.share("a function, a process a call", sessions.lost, sessions.judged, 0.0)]
    return lost == 0 and cold > 2 * warm, says, points


def _by_deployment(runs: Runs) -> ClaimFinding:
    halves = (_functions(runs), _pets(runs))
    points = [point for _, _, ones in halves for point in ones]
    says = "; ".join(words for _, words, _ in halves)
    return ClaimFinding.of(all(holds for holds, _, _ in halves), says, "% of sessions lost", points)


def _scaled_in(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("autoscale", name) for name in ("stateless", "drained", "sticky")}
    points = [ClaimPoint.share(name, arm.sessions.lost, arm.sessions.judged) for name, arm in arms.items()]
    changes = {name: _changes(arm) for name, arm in arms.items()}
    if any(not out or not back for out, back in changes.values()):
        moves = "; ".join(f"{name} {out} out, {back} in" for name, (out, back) in changes.items())
        return ClaimFinding.unknown(
            f"the autoscaler did not go out and in for all ({moves}); a quieter machine would settle it"
        )
    rows = "; ".join(
        f"{name} lost {arm.sessions.lost} of {arm.sessions.judged} sessions over {changes[name][1]} scale-ins"
        for name, arm in arms.items()
    )
    says = f"{rows} (drained: the same memory and cookie as sticky, with time for its visits to end)"
    held = arms["stateless"].sessions.lost == 0 < arms["sticky"].sessions.lost
    return ClaimFinding.of(held, says, "% of sessions lost", points)


def _changes(arm: ArmFigures) -> tuple[int, int]:
    """How often it was scaled out, and in."""
    kinds = [fault.kind for fault in arm.faults]
    return kinds.count("grow"), kinds.count("retire")


def _simpler(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("node_kill", name, "control") for name in ("stateless", "sticky", "hybrid")}
    costs = {name: _cost(name, arm) for name, arm in arms.items()}
    rows = "; ".join(f"{name}: {', '.join(f'{of[what]:,.3g} {what}' for what in of)}" for name, of in costs.items())
    points = [ClaimPoint(name, of["processes"]) for name, of in costs.items()]
    stateless, sticky, hybrid = costs.values()
    parts = ("processes", "open ports", "lines of configuration")
    fewest = all(stateless[part] <= min(sticky[part], hybrid[part]) for part in parts)
    fewer = any(stateless[part] < hybrid[part] for part in parts)
    return ClaimFinding.of(fewest and fewer, rows, "processes", points)


def _cost(name: str, arm: ArmFigures) -> Mapping[str, float]:
    used = arm.resources
    memory = require_measured(used.memory_mb, f"the memory of {name}")
    return {
        "processes": require_measured(used.processes, f"the processes of {name}"),
        "open ports": require_measured(used.ports, f"the ports of {name}"),
        "lines of configuration": require_measured(used.config_lines, f"the configuration of {name}"),
        "s of CPU a 1000 requests": require_measured(used.cpu_ms_per_request, f"the CPU of {name}"),
        "kB of memory a session": 1e3 * memory / max(1, arm.sessions.started),
    }


CLAIMS = (
    Claim(
        "C13", "serverless and microservices against a monolith, a StatefulSet, a pet", "10, 8",
        "the same cart by a process for every call, by processes kept warm, and by one that always runs; and pets of "
        "stable identity, killed, that come back with their volume or without",
        "a cold start costs many times a warm call, and no session hangs on a function's process; a pet keeps its "
        "sessions with its volume and loses them without",
        (SERVERLESS, PET), _by_deployment,
    ),
    Claim(
        "C14", "auto-scaling suits stateless services", "9",
        "a target-tracking autoscaler under a step of the load up and down, with and without draining",
        "scaling in loses no session of a stateless service, and some of a sticky one that is not drained",
        (AUTOSCALE,), _scaled_in,
    ),
    Claim(
        "C23", "stateless needs a simple infrastructure, stateful a complex one", "11",
        "processes, open ports, configuration, CPU and memory of three designs that are up, without a fault",
        "the stateless design has the fewest parts of each kind, and fewer than one with a store",
        (NODE_KILL,), _simpler,
    ),
)  # fmt: skip
