"""Claims about growing and shrinking: C01, C03, C04."""

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured

NODE_KILL, ORDERS, SCALE_OUT = RequiredRun("node_kill"), RequiredRun("orders"), RequiredRun("scale_out")
SCALE = RequiredRun("scale", ("scale", "scenarios/scale.py", "--design", "token", "--replicas", "1,2,8"), budget=300)


def _any_instance(runs: Runs) -> ClaimFinding:
    arms = {"orders": runs.arm("orders", "orders", "control"), "token": runs.arm("node_kill", "stateless", "control")}
    points = [
        ClaimPoint(
            name, 100 * min(arm.spread.per_replica.values()) / sum(arm.spread.per_replica.values()), None, 100 / 3
        )
        for name, arm in arms.items()
    ]
    odd = sum(arm.sessions.stale + arm.sessions.lost + arm.sessions.wrong + arm.writes.lost for arm in arms.values())
    judged = sum(arm.sessions.judged for arm in arms.values())
    moved = {name: arm.sessions.moved for name, arm in arms.items()}
    says = (
        f"{odd} anomalies in {judged} sessions; the least used of three replicas answered "
        f"{points[0].value:.1f} % and {points[1].value:.1f} %; {moved['token']} of {arms['token'].sessions.judged} "
        "carts were served by more than one"
    )
    served = moved["token"] == arms["token"].sessions.judged
    return ClaimFinding.of(odd == 0 and served, says, "% of replies by the least used replica", points)


def _scales_out(runs: Runs) -> ClaimFinding:
    design = next(design for design in runs.scaling("scale").designs if design.name == "token")
    efficiency = {size.replicas: design.fit.efficiency(size.point) for size in design.sizes}
    points = [
        ClaimPoint(f"{count} replicas", 100 * require_measured(share, f"the efficiency at {count}"), None, 100.0)
        for count, share in sorted(efficiency.items(), reverse=True)
    ]
    held = ", ".join(f"{size.replicas}: {size.capacity.held:,.0f}/s" for size in design.sizes)
    if points[0].label != "8 replicas":
        raise UnsettledError("8 replicas were not measured")
    says = f"requests held at each size {held}; efficiency at 8 {points[0].value:.0f} %. {design.fit.sentence}"
    return ClaimFinding.of(points[0].value >= 90, says, "% of linear", points)


def _old_sessions_stay(runs: Runs) -> ClaimFinding:
    said = {"cookie": 0.0, "consistent": 25.0, "modulo": 75.0}
    arms = {name: runs.arm("scale_out", name) for name in said}
    points = [ClaimPoint.share(name, arm.sessions.moved, arm.sessions.judged, said[name]) for name, arm in arms.items()]
    rows = "; ".join(f"{one.label} {one.value:.0f} % (theory {said[one.label]:.0f} %)" for one in points)
    cookie = arms["cookie"].spread
    newest = cookie.per_replica.get("r3", 0) / max(1, sum(cookie.per_replica.values()))
    says = f"moved when a fourth replica joined: {rows}; behind a cookie it gave {100 * newest:.1f} % of the replies"
    held = points[0].value == 0 and 10 < points[1].value < 40 and points[2].value > 50
    return ClaimFinding.of(held, says, "% of sessions moved", points)


CLAIMS = (
    Claim(
        "C01", "any instance can handle a stateless request", "2, 3",
        "orders and the token cart behind round-robin, three replicas",
        "every session is served by several replicas, and nothing is amiss",
        (ORDERS, NODE_KILL), _any_instance,
    ),
    Claim(
        "C03", "stateless services scale out easily", "2, 8",
        "capacity at 1, 2 and 8 replicas of emulated service time (20 ms, 2 slots)",
        "efficiency of at least 90 % at 8 replicas",
        (SCALE,), _scales_out,
    ),
    Claim(
        "C04", "stateful services are harder to scale out", "2, 8",
        "a fourth replica joins three under load: cookie affinity, consistent hashing, modulo hashing",
        "a cookie moves nobody (and leaves the new one idle), hashing moves a share, modulo most",
        (SCALE_OUT,), _old_sessions_stay,
    ),
)  # fmt: skip
