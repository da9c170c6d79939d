"""Claims about what a crash does: C05, C06, C20, C22."""

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, require_measured
from harness.results.summary import ArmFigures

NODE_KILL = RequiredRun("node_kill")
STORE_KILL = RequiredRun("store_kill")


def _lost(label: str, arm: ArmFigures, predicted: float | None = None) -> ClaimPoint:
    return ClaimPoint.share(label, arm.sessions.lost, arm.sessions.judged, predicted)


def _retried_elsewhere(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("node_kill", name) for name in ("stateless", "hybrid")}
    points = [_lost(name, arm, 0.0) for name, arm in arms.items()]
    failed = {name: arm.requests.failed + arm.requests.in_doubt for name, arm in arms.items()}
    lost = sum(arm.writes.lost + arm.sessions.lost for arm in arms.values())
    of = sum(arm.requests.attempted for arm in arms.values())
    says = (
        f"{lost} sessions or acknowledged writes lost; {sum(failed.values()):,} of {of:,} requests failed or in doubt "
        f"({', '.join(f'{name} {count}' for name, count in failed.items())})"
    )
    return ClaimFinding.of(lost == 0, says, "% of sessions lost", points)


def _lost_with_its_node(runs: Runs) -> ClaimFinding:
    sessions = runs.arm("node_kill", "sticky").sessions
    risky = require_measured(sessions.at_risk, "who was at risk")
    others = require_measured(sessions.lost_not_at_risk, "who was lost without being at risk")
    held = require_measured(sessions.at_risk_not_lost, "who was at risk and kept")
    point = ClaimPoint.share("sticky", sessions.lost, sessions.judged, 100 * risky / sessions.judged)
    says = (
        f"{sessions.lost} of {sessions.judged} sessions lost, {point.value:.0f} %; {risky:.0f} were on the dead node, "
        f"{held:.0f} of which were kept, and {others:.0f} others were lost"
    )
    return ClaimFinding.of(sessions.lost > 0 and others == held == 0, says, "% of sessions lost", [point])


def _a_design_win(runs: Runs) -> ClaimFinding:
    node, store = runs.arm("node_kill", "hybrid"), runs.arm("store_kill", "hybrid")
    points = [_lost("a node dies", node, 0.0), _lost("the store dies", store, 100.0)]
    says = (
        f"a dead node lost {node.sessions.lost} of {node.sessions.judged} sessions, "
        f"the dead store {store.sessions.lost} of {store.sessions.judged}: the store is the single point"
    )
    return ClaimFinding.of(node.sessions.lost == 0 and store.sessions.lost > 0, says, "% of sessions lost", points)


def _side_by_side(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("node_kill", name) for name in ("stateless", "sticky", "hybrid")}
    points = [_lost(name, arm) for name, arm in arms.items()]
    rows = [
        f"{name}: {arm.sessions.lost} of {arm.sessions.judged} lost, "
        f"{require_measured(arm.bytes.request_mean, 'bytes a request'):.0f} bytes a request"
        for name, arm in arms.items()
    ]
    kept = arms["stateless"].sessions.lost == 0 < arms["sticky"].sessions.lost
    heavier = require_measured(arms["stateless"].bytes.request_mean, "bytes") > require_measured(
        arms["sticky"].bytes.request_mean, "bytes"
    )
    return ClaimFinding.of(kept and heavier, "; ".join(rows), "% of sessions lost", points)


CLAIMS = (
    Claim(
        "C05", "when a stateless node crashes, its requests are retried elsewhere", "5, 9",
        "kill -9 of one of three replicas under load, state in the client's token or in Redis",
        "no session and no acknowledged write lost; errors only for what was in flight",
        (NODE_KILL,), _retried_elsewhere,
    ),
    Claim(
        "C06", "when a stateful node crashes, data may be lost", "5, 9",
        "kill -9 of one of three replicas, state in process memory behind cookie affinity",
        "the sessions of the dead node are lost, and no others",
        (NODE_KILL,), _lost_with_its_node,
    ),
    Claim(
        "C20", "a stateless service with its state in Redis is a design win", "13",
        "kill -9 of a replica, then of the store, under load",
        "a dead node loses nothing; the store is then the single point",
        (NODE_KILL, STORE_KILL), _a_design_win,
    ),
    Claim(
        "C22", "a cart in the client's token against one on the server behind affinity", "14",
        "the same users and the same kill for both ends of the table",
        "the token keeps every session and costs bytes; memory loses a share and does not",
        (NODE_KILL,), _side_by_side,
    ),
)  # fmt: skip
