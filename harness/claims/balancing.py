"""Claims about how the balancer chooses a replica: C09, C12, C15."""

from collections.abc import Mapping, Sequence

from harness.claims.claim import (
    Claim,
    ClaimFinding,
    ClaimPoint,
    RequiredRun,
    Runs,
    UnsettledError,
    require_measured,
    require_unsaturated,
)
from harness.results.summary import ArmFigures

SPREAD, PINNING, MESH = RequiredRun("spread"), RequiredRun("pinning"), RequiredRun("mesh")
_AFFINE = ("ring_hash", "maglev", "cookie")
_POLICIES = ("round_robin", "least_connections", *_AFFINE)
#: The designs of pinning.py with these policies: no fault, and every session sends at the same rate.
_UNIFORM = {"round_robin": "stateless", "ring_hash": "header", "cookie": "cookie"}
#: The cause of a lost session, by what the node did.
_CAUSES = {"joins": "moved", "leaves": "stopped", "dies": "killed"}
#: A coefficient of variation below this is even.
_EVEN = 0.02


def _judge_evenness(runs: Runs) -> ClaimFinding:
    hot_arms = {name: runs.arm("spread", name, "control") for name in _POLICIES}
    uniform = _variations({name: runs.arm("pinning", design, "control") for name, design in _UNIFORM.items()})
    hot = _variations(hot_arms)
    moved = sum(hot_arms[name].sessions.moved for name in _AFFINE)
    says = (
        f"coefficient of variation of the replicas' shares: {_list_variations(uniform)} with uniform sessions; "
        f"{_list_variations(hot)} with a few hot ones, each of which affinity keeps on one replica (sessions served by "
        f"several under affinity: {moved}); p99 with hot ones: "
        f"{', '.join(f'{name} {_describe_p99(arm)}' for name, arm in hot_arms.items())}"
    )
    even = max(uniform["round_robin"], hot["round_robin"]) < _EVEN
    uneven = max(hot[name] for name in _AFFINE) > _EVEN
    points = [*_variation_points(uniform, "uniform"), *_variation_points(hot, "hot")]
    return ClaimFinding.supported_if(even and uneven and moved == 0, says, "% cv of requests per replica", points)


def _variations(arms: Mapping[str, ArmFigures]) -> dict[str, float]:
    """The coefficient of variation of the replicas' shares of the requests, by policy."""
    return {name: require_measured(arm.spread.cv, f"the spread of {name}") for name, arm in arms.items()}


def _list_variations(variations: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {cv:.3f}" for name, cv in variations.items())


def _variation_points(variations: Mapping[str, float], sessions: str) -> list[ClaimPoint]:
    return [
        ClaimPoint(f"{name}, {sessions}", 100 * cv, None, 0.0 if name == "round_robin" else None)
        for name, cv in variations.items()
    ]


def _describe_p99(arm: ArmFigures) -> str:
    if not arm.trusts("p99"):
        return "not trusted"
    return f"{require_measured(arm.latency_ms.p99, 'the p99'):.0f} ms"


def _judge_pinning(runs: Runs) -> ClaimFinding:
    calm = {
        name: runs.arm("pinning", name, "control").sessions for name in ("round_robin", "cookie", "header", "source")
    }
    quiet = [ClaimPoint.share(f"{name}: no event", sessions.lost, sessions.judged) for name, sessions in calm.items()]
    reconnects = _lost_by("connection: reconnects", runs.arm("pinning", "connection", "control"), "moved", 100 * 2 / 3)
    joins = _lost_by_events(runs, ("cookie", "header", "source"), ("joins",))
    ends = _lost_by_events(runs, ("cookie", "header", "connection"), ("leaves", "dies"))
    stateless = runs.arm("pinning", "stateless").sessions
    points = [*quiet, reconnects, *joins, *ends]
    says = (
        f"sessions in memory that broke: {'; '.join(f'{point.label} {point.value:.0f} %' for point in points)}. By "
        f"source address all clients of one machine share a replica. {stateless.lost} of {stateless.judged} stateless "
        "sessions broke under the same events"
    )
    only_unpinned_breaks = quiet[0].value > 50 and all(point.value == 0 for point in quiet[1:])
    joins_break_hashes_only = joins[0].value == 0 < joins[1].value
    own_events_break = all(point.value > 0 for point in (reconnects, *ends))
    holds = only_unpinned_breaks and joins_break_hashes_only and own_events_break and stateless.lost == 0
    return ClaimFinding.supported_if(holds, says, "% of sessions", points)


def _lost_by_events(runs: Runs, policies: Sequence[str], events: Sequence[str]) -> list[ClaimPoint]:
    return [
        _lost_by(f"{policy}: {event}", runs.arm("pinning", policy), _CAUSES[event])
        for policy in policies
        for event in events
    ]


def _lost_by(label: str, arm: ArmFigures, cause: str, predicted: float | None = None) -> ClaimPoint:
    """The share of sessions that lost their state for this cause."""
    count = min(arm.sessions.lost_by_cause.get(cause, 0), arm.sessions.judged)
    return ClaimPoint.share(label, count, arm.sessions.judged, predicted)


def _judge_mesh(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("mesh", name) for name in ("mesh_memory", "mesh", "bare")}
    memory, mesh = arms["mesh_memory"].sessions, arms["mesh"].sessions
    at_risk = require_measured(memory.at_risk, "the number of sessions at risk")
    others = require_measured(memory.lost_not_at_risk, "the number of lost sessions that were not at risk")
    predictions = {"mesh_memory": 100 * at_risk / max(1, memory.judged), "mesh": 0.0, "bare": 0.0}
    points = [
        ClaimPoint.share(name, arm.sessions.lost, arm.sessions.judged, predictions[name]) for name, arm in arms.items()
    ]
    errors = {name: arm.requests.failed + arm.requests.in_doubt for name, arm in arms.items()}
    says = (
        f"when a replica died, {errors['mesh']} of {arms['mesh'].requests.attempted:,} requests failed or were in "
        f"doubt with the mesh's retries and outlier detection, {errors['bare']} of {arms['bare'].requests.attempted:,} "
        f"without; it rescued no state: {memory.lost} of {memory.judged} sessions in memory were lost behind its ring "
        f"hash ({at_risk} were on the dead replica, {others} were moved off live ones), {mesh.lost} of {mesh.judged} "
        f"with their state elsewhere; {_describe_overhead(runs)}"
    )
    rescued = errors["mesh"] < errors["bare"] and mesh.lost == 0
    return ClaimFinding.supported_if(rescued and memory.lost > 0, says, "% of sessions lost", points)


def _describe_overhead(runs: Runs) -> str:
    """The time of a request through the mesh and through a relay, unless a load process was saturated."""
    try:
        arms = {name: require_unsaturated(runs.arm("mesh", name, "control"), name) for name in ("relay", "mesh")}
    except UnsettledError:
        return "the time that it adds to a request was not measured: the load process could not keep up"
    relay, mesh = (require_measured(arm.service_ms.p50, f"the p50 of {name}") for name, arm in arms.items())
    return f"a request takes {mesh:.2f} ms (p50) through the mesh and {relay:.2f} ms through a relay of bytes"


CLAIMS = (
    Claim(
        "C09", "load is even for stateless services, and must be routed consistently for stateful ones", "8",
        "round robin, least connections, ring hash, Maglev and cookie across 3 replicas, with uniform sessions and "
        "with a few hot ones",
        "round robin's coefficient of variation is below 0.02; with hot sessions that of affinity is above it",
        (SPREAD, PINNING), _judge_evenness,
    ),
    Claim(
        "C12", "round-robin suits stateless services; stateful ones need sticky sessions or connection pinning", "10",
        "a cart in memory behind round robin, cookie, header, source address and connection affinity; a node joins, "
        "leaves and dies",
        "round robin breaks sessions without any event; pinned sessions break only by their own event: a join under "
        "hashing, a new connection under connection pinning, and the end of their node under all",
        (PINNING,), _judge_pinning,
    ),
    Claim(
        "C15", "a service mesh is compatible with both, stateless preferred", "10",
        "Envoy with outlier detection, retries and a ring hash, compared with a balancer without retries; a replica is "
        "killed",
        "with the mesh fewer requests fail and no session with its state elsewhere is lost, but sessions in memory are",
        (MESH,), _judge_mesh,
    ),
)  # fmt: skip
