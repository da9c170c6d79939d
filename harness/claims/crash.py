"""Claims about the effects of a crash: C05, C06, C20, C22."""

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, require_measured
from harness.results.summary import ArmFigures

NODE_KILL = RequiredRun("node_kill")
STORE_KILL = RequiredRun("store_kill")


def _share_lost(label: str, arm: ArmFigures, predicted: float | None = None) -> ClaimPoint:
    return ClaimPoint.share(label, arm.sessions.lost, arm.sessions.judged, predicted)


def _judge_stateless_crash(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("node_kill", name) for name in ("stateless", "hybrid")}
    points = [_share_lost(name, arm, 0.0) for name, arm in arms.items()]
    errors = {name: arm.requests.failed + arm.requests.in_doubt for name, arm in arms.items()}
    lost = sum(arm.writes.lost + arm.sessions.lost for arm in arms.values())
    attempted = sum(arm.requests.attempted for arm in arms.values())
    says = (
        f"{lost} sessions or acknowledged writes lost; {sum(errors.values()):,} of {attempted:,} requests failed or in "
        f"doubt ({', '.join(f'{name} {count}' for name, count in errors.items())})"
    )
    return ClaimFinding.supported_if(lost == 0, says, "% of sessions lost", points)


def _judge_stateful_crash(runs: Runs) -> ClaimFinding:
    sessions = runs.arm("node_kill", "sticky").sessions
    at_risk = require_measured(sessions.at_risk, "the number of sessions at risk")
    others = require_measured(sessions.lost_not_at_risk, "the number of lost sessions that were not at risk")
    kept = require_measured(sessions.at_risk_not_lost, "the number of kept sessions that were at risk")
    point = ClaimPoint.share("sticky", sessions.lost, sessions.judged, 100 * at_risk / sessions.judged)
    says = (
        f"{sessions.lost} of {sessions.judged} sessions lost, {point.value:.0f} %; {at_risk:.0f} were on the dead "
        f"node, {kept:.0f} of which were kept, and {others:.0f} others were lost"
    )
    return ClaimFinding.supported_if(sessions.lost > 0 and others == kept == 0, says, "% of sessions lost", [point])


def _judge_state_in_redis(runs: Runs) -> ClaimFinding:
    node, store = runs.arm("node_kill", "hybrid"), runs.arm("store_kill", "hybrid")
    points = [_share_lost("a node dies", node, 0.0), _share_lost("the store dies", store, 100.0)]
    says = (
        f"a dead node lost {node.sessions.lost} of {node.sessions.judged} sessions, the dead store "
        f"{store.sessions.lost} of {store.sessions.judged}: the store is the single point of failure"
    )
    holds = node.sessions.lost == 0 and store.sessions.lost > 0
    return ClaimFinding.supported_if(holds, says, "% of sessions lost", points)


def _judge_token_against_affinity(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("node_kill", name) for name in ("stateless", "sticky", "hybrid")}
    points = [_share_lost(name, arm) for name, arm in arms.items()]
    request_bytes = {
        name: require_measured(arm.bytes.request_mean, f"the bytes per request of {name}") for name, arm in arms.items()
    }
    rows = [
        f"{name}: {arm.sessions.lost} of {arm.sessions.judged} lost, {request_bytes[name]:.0f} bytes per request"
        for name, arm in arms.items()
    ]
    kept = arms["stateless"].sessions.lost == 0 < arms["sticky"].sessions.lost
    heavier = request_bytes["stateless"] > request_bytes["sticky"]
    return ClaimFinding.supported_if(kept and heavier, "; ".join(rows), "% of sessions lost", points)


CLAIMS = (
    Claim(
        "C05", "when a stateless node crashes, its requests are retried elsewhere", "5, 9",
        "kill -9 of one of three replicas under load, with the state in the client's token or in Redis",
        "no session and no acknowledged write is lost; only requests in flight fail",
        (NODE_KILL,), _judge_stateless_crash,
    ),
    Claim(
        "C06", "when a stateful node crashes, data may be lost", "5, 9",
        "kill -9 of one of three replicas, with the state in process memory behind cookie affinity",
        "the sessions of the dead node are lost, and no others",
        (NODE_KILL,), _judge_stateful_crash,
    ),
    Claim(
        "C20", "a stateless service with its state in Redis is a design win", "13",
        "kill -9 of a replica, then of the store, under load",
        "a dead node loses nothing; the store is then the single point of failure",
        (NODE_KILL, STORE_KILL), _judge_state_in_redis,
    ),
    Claim(
        "C22", "a cart in the client's token compared with one on the server behind affinity", "14",
        "the same users and the same kill for both designs",
        "the token keeps every session but adds bytes to each request; memory loses a share of the sessions but adds "
        "none",
        (NODE_KILL,), _judge_token_against_affinity,
    ),
)  # fmt: skip
