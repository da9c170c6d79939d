"""Claims about who is sent where: C09, C12, C15."""

from collections.abc import Mapping

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
#: Which designs of pinning.py have which policy, without a fault and with sessions that are all alike.
_UNIFORM = {"round_robin": "stateless", "ring_hash": "header", "cookie": "cookie"}
_EVEN = 0.02


def _cv(arm: ArmFigures, whose: str) -> float:
    return require_measured(arm.spread.cv, f"the spread of {whose}")


def _p99(arm: ArmFigures) -> str:
    return (
        "not trusted"
        if arm.driver.saturated is not False
        else f"{require_measured(arm.latency_ms.p99, 'the p99'):.0f} ms"
    )


def _even_or_affine(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("spread", name, "control") for name in _POLICIES}
    even = {name: _cv(runs.arm("pinning", design, "control"), name) for name, design in _UNIFORM.items()}
    hot = {name: _cv(arm, name) for name, arm in arms.items()}
    points = [
        *(
            ClaimPoint(f"{name}, alike", 100 * cv, None, 0.0 if name == "round_robin" else None)
            for name, cv in even.items()
        ),
        *(
            ClaimPoint(f"{name}, hot", 100 * cv, None, 0.0 if name == "round_robin" else None)
            for name, cv in hot.items()
        ),
    ]
    split = [name for name in _AFFINE if arms[name].sessions.moved]
    says = (
        f"coefficient of variation of the replicas' shares: {_listed(even)} with sessions that are alike; "
        f"{_listed(hot)} with a few hot ones, of which affinity keeps each on one replica (sessions served by several "
        f"under affinity: {sum(arms[name].sessions.moved for name in _AFFINE)}); p99 with hot ones: "
        f"{', '.join(f'{name} {_p99(arm)}' for name, arm in arms.items())}"
    )
    level = max(even["round_robin"], hot["round_robin"]) < _EVEN
    uneven = max(hot[name] for name in _AFFINE) > _EVEN
    return ClaimFinding.of(level and uneven and not split, says, "% cv of requests a replica", points)


def _listed(cvs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {cv:.3f}" for name, cv in cvs.items())


def _by(label: str, arm: ArmFigures, cause: str, predicted: float | None = None) -> ClaimPoint:
    """The share of sessions that lost their state by a cause."""
    count = min(arm.sessions.lost_by_cause.get(cause, 0), arm.sessions.judged)
    return ClaimPoint.share(label, count, arm.sessions.judged, predicted)


def _breaks(runs: Runs) -> ClaimFinding:
    calm = {name: runs.arm("pinning", name, "control") for name in ("round_robin", "cookie", "header", "source")}
    wild = {name: runs.arm("pinning", name) for name in ("stateless", "cookie", "header", "source", "connection")}
    anew = _by("connection: connects anew", runs.arm("pinning", "connection", "control"), "moved", 100 * 2 / 3)
    quiet = [
        ClaimPoint.share(f"{name}: no event", arm.sessions.lost, arm.sessions.judged) for name, arm in calm.items()
    ]
    joins = [_by(f"{name}: joins", wild[name], "moved") for name in ("cookie", "header", "source")]
    ends = [
        _by(f"{name}: {event}", wild[name], cause)
        for name in ("cookie", "header", "connection")
        for event, cause in (("leaves", "stopped"), ("dies", "killed"))
    ]
    points = [*quiet, anew, *joins, *ends]
    stateless = wild["stateless"].sessions
    says = (
        f"sessions in memory that broke: {'; '.join(f'{one.label} {one.value:.0f} %' for one in points)}. By source "
        f"address all clients of one machine share a replica. Of stateless sessions {stateless.lost} of "
        f"{stateless.judged} broke, whatever happened"
    )
    pinned = all(point.value == 0 for point in quiet[1:])
    each = joins[0].value == 0 < joins[1].value and anew.value > 0 and all(point.value > 0 for point in ends)
    return ClaimFinding.of(
        quiet[0].value > 50 and pinned and each and stateless.lost == 0, says, "% of sessions", points
    )


def _errors(arm: ArmFigures) -> int:
    return arm.requests.failed + arm.requests.in_doubt


def _adds(runs: Runs) -> str:
    """What the proxy adds to a request, where the driver kept up."""
    try:
        arms = {name: require_unsaturated(runs.arm("mesh", name, "control"), name) for name in ("relay", "mesh")}
    except UnsettledError:
        return "what it adds to a request was not measured: the load process could not keep up"
    relay, mesh = (require_measured(arm.service_ms.p50, f"the p50 of {name}") for name, arm in arms.items())
    return f"a request takes {mesh:.2f} ms (p50) through the mesh and {relay:.2f} ms through a relay of bytes"


def _rescues(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("mesh", name) for name in ("mesh_memory", "mesh", "bare")}
    memory = arms["mesh_memory"].sessions
    risky = require_measured(memory.at_risk, "who was at risk")
    others = require_measured(memory.lost_not_at_risk, "who was lost without being at risk")
    points = [
        ClaimPoint.share("mesh_memory", memory.lost, memory.judged, 100 * risky / max(1, memory.judged)),
        *(
            ClaimPoint.share(name, arms[name].sessions.lost, arms[name].sessions.judged, 0.0)
            for name in ("mesh", "bare")
        ),
    ]
    errors = {name: _errors(arm) for name, arm in arms.items()}
    says = (
        f"when a replica died, {errors['mesh']} of {arms['mesh'].requests.attempted:,} requests failed or were in "
        f"doubt with the mesh's retries and outlier detection, {errors['bare']} of {arms['bare'].requests.attempted:,} "
        f"without; it rescued no state: {memory.lost} of {memory.judged} sessions in memory were lost behind its ring "
        f"hash ({risky} were on the dead replica, {others} were moved off living ones), "
        f"{arms['mesh'].sessions.lost} of {arms['mesh'].sessions.judged} with their state elsewhere; {_adds(runs)}"
    )
    rescued = errors["mesh"] < errors["bare"] and arms["mesh"].sessions.lost == 0
    return ClaimFinding.of(rescued and memory.lost > 0, says, "% of sessions lost", points)


CLAIMS = (
    Claim(
        "C09", "load is even for stateless services, and must be routed consistently for stateful ones", "8",
        "round robin, least connections, ring hash, maglev and cookie, 3 replicas; sessions alike, and a few hot",
        "round robin's coefficient of variation is below 0.02; with hot sessions an affinity's is above it",
        (SPREAD, PINNING), _even_or_affine,
    ),
    Claim(
        "C12", "round-robin suits stateless services; stateful ones need sticky sessions or connection pinning", "10",
        "a cart in memory by round robin, cookie, header, source address and connection; a node joins, leaves, dies",
        "round robin breaks it by itself; pinned sessions break only by their own event: a join under a hash, a "
        "new connection under connection pinning, and with their node under all",
        (PINNING,), _breaks,
    ),
    Claim(
        "C15", "a service mesh is compatible with both, stateless preferred", "10",
        "Envoy with outlier detection, retries and a ring hash against a balancer without retries; a replica is killed",
        "fewer failed requests with the mesh, no session lost whose state is elsewhere, but those in memory",
        (MESH,), _rescues,
    ),
)  # fmt: skip
