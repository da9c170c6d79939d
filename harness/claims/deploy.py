"""Claims about how a service is deployed and scaled: C13, C14, C23."""

from collections.abc import Mapping

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, require_measured
from harness.results.summary import ArmFigures

SERVERLESS, PET, NODE_KILL = RequiredRun("serverless"), RequiredRun("pet"), RequiredRun("node_kill")
AUTOSCALE = RequiredRun("autoscale", timeout_s=200)


def _judge_deployments(runs: Runs) -> ClaimFinding:
    functions_hold, functions_say, function_points = _examine_functions(runs)
    pets_hold, pets_say, pet_points = _examine_pets(runs)
    return ClaimFinding.supported_if(
        functions_hold and pets_hold,
        f"{functions_say}; {pets_say}",
        "% of sessions lost",
        [*function_points, *pet_points],
    )


def _examine_functions(runs: Runs) -> tuple[bool, str, list[ClaimPoint]]:
    """Whether cold starts are slow and no session depends on a process; the figures in words; and the points."""
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
        f"half of the calls took over {cold:.0f} ms when a process was started for each, {warm:.1f} ms with a warm "
        f"pool and {running:.1f} ms with a process that always runs, and {cpu['cold']:.0f}, {cpu['warm']:.1f} and "
        f"{cpu['running']:.1f} ms of CPU"
    )
    sessions = arms["cold"].sessions
    points = [ClaimPoint.share("functions, one process per call", sessions.lost, sessions.judged, 0.0)]
    return lost == 0 and cold > 2 * warm, says, points


def _examine_pets(runs: Runs) -> tuple[bool, str, list[ClaimPoint]]:
    """Whether a pet keeps its sessions with its volume and loses them without; the figures in words; and the points."""
    kept, lost = (runs.arm("pet", name).sessions for name in ("volume_kept", "volume_lost"))
    points = [
        ClaimPoint.share("a pet with its volume", kept.lost, kept.judged, 0.0),
        ClaimPoint.share("a pet without it", lost.lost, lost.judged, 100 * (lost.at_risk or 0) / max(1, lost.judged)),
    ]
    says = (
        f"a killed pet that came back with its volume lost {kept.lost} of {kept.judged} sessions, without it "
        f"{lost.lost} of {lost.judged}, {lost.at_risk} of which were on it"
    )
    only_its_own = lost.lost > 0 and lost.lost_not_at_risk == lost.at_risk_not_lost == 0
    return kept.lost == 0 and only_its_own, says, points


def _judge_autoscaling(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("autoscale", name) for name in ("stateless", "drained", "sticky")}
    kinds = {name: [fault.kind for fault in arm.faults] for name, arm in arms.items()}
    scalings = {name: (faults.count("grow"), faults.count("retire")) for name, faults in kinds.items()}
    if not all(outs and ins for outs, ins in scalings.values()):
        counts = "; ".join(f"{name} {outs} out, {ins} in" for name, (outs, ins) in scalings.items())
        return ClaimFinding.unknown(
            f"the autoscaler did not scale every design out and in ({counts}); use a quieter machine"
        )
    rows = "; ".join(
        f"{name} lost {arm.sessions.lost} of {arm.sessions.judged} sessions over {scalings[name][1]} scale-ins"
        for name, arm in arms.items()
    )
    says = f"{rows} (drained: the same memory and cookie as sticky, with time for its visits to end)"
    points = [ClaimPoint.share(name, arm.sessions.lost, arm.sessions.judged) for name, arm in arms.items()]
    holds = arms["stateless"].sessions.lost == 0 < arms["sticky"].sessions.lost
    return ClaimFinding.supported_if(holds, says, "% of sessions lost", points)


def _judge_simplicity(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("node_kill", name, "control") for name in ("stateless", "sticky", "hybrid")}
    costs = {name: _measure_costs(name, arm) for name, arm in arms.items()}
    rows = "; ".join(
        f"{name}: {', '.join(f'{value:,.3g} {unit}' for unit, value in cost.items())}" for name, cost in costs.items()
    )
    points = [ClaimPoint(name, cost["processes"]) for name, cost in costs.items()]
    stateless, sticky, hybrid = costs.values()
    parts = ("processes", "open ports", "lines of configuration")
    fewest = all(stateless[part] <= min(sticky[part], hybrid[part]) for part in parts)
    fewer = any(stateless[part] < hybrid[part] for part in parts)
    return ClaimFinding.supported_if(fewest and fewer, rows, "processes", points)


def _measure_costs(name: str, arm: ArmFigures) -> Mapping[str, float]:
    """What a design needs, by unit."""
    used = arm.resources
    memory = require_measured(used.memory_mb, f"the memory of {name}")
    return {
        "processes": require_measured(used.processes, f"the processes of {name}"),
        "open ports": require_measured(used.ports, f"the ports of {name}"),
        "lines of configuration": require_measured(used.config_lines, f"the configuration of {name}"),
        "s of CPU per 1000 requests": require_measured(used.cpu_ms_per_request, f"the CPU of {name}"),
        "kB of memory per session": 1e3 * memory / max(1, arm.sessions.started),
    }


CLAIMS = (
    Claim(
        "C13", "serverless and microservices compared with a monolith, a StatefulSet, a pet", "10, 8",
        "the same cart in a process started for each call, in processes kept warm, and in one that always runs; and "
        "killed pets (replicas of stable identity) that come back with or without their volume",
        "a cold start takes many times as long as a warm call, and no session depends on a function's process; a "
        "pet keeps its sessions with its volume and loses them without",
        (SERVERLESS, PET), _judge_deployments,
    ),
    Claim(
        "C14", "auto-scaling suits stateless services", "9",
        "a target-tracking autoscaler while the load steps up and down, with and without draining",
        "scaling in loses no session of a stateless service, and some sessions of a sticky one that is not drained",
        (AUTOSCALE,), _judge_autoscaling,
    ),
    Claim(
        "C23", "stateless needs a simple infrastructure, stateful a complex one", "11",
        "processes, open ports, configuration, CPU and memory of three running designs, without a fault",
        "the stateless design has the fewest parts of each kind, and fewer than one with a store",
        (NODE_KILL,), _judge_simplicity,
    ),
)  # fmt: skip
