"""Claims about scaling out: C01, C03, C04."""

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured

NODE_KILL, ORDERS, SCALE_OUT = RequiredRun("node_kill"), RequiredRun("orders"), RequiredRun("scale_out")
SCALE = RequiredRun("scale", ("scale", "scenarios/scale.py", "--replicas", "1,2,8"), timeout_s=600)
#: The share of sessions in per cent that theory expects to move when a fourth replica joins, by policy.
EXPECTED_MOVES = {"cookie": 0.0, "consistent": 25.0, "modulo": 75.0}


def _judge_any_instance(runs: Runs) -> ClaimFinding:
    orders, token = runs.arm("orders", "orders", "control"), runs.arm("node_kill", "stateless", "control")
    replies = {"orders": orders.spread.per_replica.values(), "token": token.spread.per_replica.values()}
    points = [ClaimPoint(name, 100 * min(counts) / sum(counts), None, 100 / 3) for name, counts in replies.items()]
    anomalies = sum(
        arm.sessions.stale + arm.sessions.lost + arm.sessions.wrong + arm.writes.lost for arm in (orders, token)
    )
    says = (
        f"{anomalies} anomalies in {orders.sessions.judged + token.sessions.judged} sessions; the least used of three "
        f"replicas answered {points[0].value:.1f} % and {points[1].value:.1f} %; {token.sessions.moved} of "
        f"{token.sessions.judged} carts were served by more than one"
    )
    all_moved = token.sessions.moved == token.sessions.judged
    return ClaimFinding.supported_if(
        anomalies == 0 and all_moved, says, "% of replies by the least used replica", points
    )


def _judge_scale_out(runs: Runs) -> ClaimFinding:
    design = next(design for design in runs.scaling("scale").designs if design.name == "token")
    efficiency = {size.replicas: design.fit.efficiency(size.point) for size in design.sizes}
    points = [
        ClaimPoint(f"{count} replicas", 100 * require_measured(share, f"the efficiency at {count}"), None, 100.0)
        for count, share in sorted(efficiency.items(), reverse=True)
    ]
    if points[0].label != "8 replicas":
        raise UnsettledError("8 replicas were not measured")
    capacities = ", ".join(f"{size.replicas}: {size.capacity.held:,.0f}/s" for size in design.sizes)
    says = (
        f"capacity by number of replicas {capacities}; efficiency at 8 {points[0].value:.0f} %. "
        f"{design.fit.sentence.removesuffix('.')}"
    )
    return ClaimFinding.supported_if(points[0].value >= 90, says, "% of linear", points)


def _judge_moved_sessions(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("scale_out", name) for name in EXPECTED_MOVES}
    points = [
        ClaimPoint.share(name, arm.sessions.moved, arm.sessions.judged, EXPECTED_MOVES[name])
        for name, arm in arms.items()
    ]
    rows = "; ".join(f"{point.label} {point.value:.0f} % (theory {point.predicted:.0f} %)" for point in points)
    replies = arms["cookie"].spread.per_replica
    newest = replies.get("r3", 0) / max(1, sum(replies.values()))
    says = f"moved when a fourth replica joined: {rows}; behind a cookie it gave {100 * newest:.1f} % of the replies"
    cookie, consistent, modulo = (point.value for point in points)
    holds = cookie == 0 and 10 < consistent < 40 and modulo > 50
    return ClaimFinding.supported_if(holds, says, "% of sessions moved", points)


CLAIMS = (
    Claim(
        "C01", "any instance can handle a stateless request", "2, 3",
        "orders and the token cart behind round robin, three replicas",
        "every session is served by several replicas, without an anomaly",
        (ORDERS, NODE_KILL), _judge_any_instance,
    ),
    Claim(
        "C03", "stateless services scale out easily", "2, 8",
        "capacity at 1, 2 and 8 replicas of emulated service time (20 ms, 2 slots)",
        "efficiency of at least 90 % at 8 replicas",
        (SCALE,), _judge_scale_out,
    ),
    Claim(
        "C04", "stateful services are harder to scale out", "2, 8",
        "a fourth replica joins three under load: cookie affinity, consistent hashing, modulo hashing",
        "a cookie moves no session (and leaves the new replica idle), consistent hashing moves a share, and modulo "
        "hashing moves most",
        (SCALE_OUT,), _judge_moved_sessions,
    ),
)  # fmt: skip
