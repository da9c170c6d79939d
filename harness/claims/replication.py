"""The claim about replicated state: C07."""

from collections.abc import Mapping

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs
from harness.results.summary import ArmFigures

PRIMARY_KILL, FAILOVER = RequiredRun("primary_kill", budget=240), RequiredRun("store_failover", budget=240)

#: In each a replica of the service dies, and then the server that leads its store. These wait for others to have a
#: write before they acknowledge it; of those that do not, these lose some with their only server, or with the primary.
REPLICATED = ("etcd", "hazelcast", "nats")
LOSING = ("redis", "redis_sentinel")
_DEATHS = ("kill_primary", "kill_store")


def _unavailable(arm: ArmFigures) -> str:
    """How long the store's fault was felt: until the last request that it broke."""
    felt = next((fault.detect_s for fault in arm.faults if fault.kind in _DEATHS), None)
    trusted = arm.driver.saturated is False and felt is not None
    return f"away for {felt:.1f} s" if trusted else "away for a time that this run cannot tell"


def _replicated(runs: Runs) -> ClaimFinding:
    arms: Mapping[str, ArmFigures] = {
        **{name: runs.arm("primary_kill", name) for name in REPLICATED},
        **{name: runs.arm("store_failover", name) for name in (*LOSING, "postgres")},
    }
    points = [
        ClaimPoint.share(name, arm.writes.lost, arm.writes.acknowledged, None if name in LOSING else 0.0)
        for name, arm in arms.items()
    ]
    node = sum(arm.sessions.lost_by_cause.get("killed", 0) for arm in arms.values())
    judged = sum(arm.sessions.judged for arm in arms.values())
    rows = [
        f"{name} {arm.writes.lost:,} of {arm.writes.acknowledged:,}, {_unavailable(arm)}" for name, arm in arms.items()
    ]
    says = (
        f"with a replica of the service {node} of {judged} sessions were lost; "
        f"with the store's first server, of the acknowledged writes: {'; '.join(rows)}"
    )
    kept = not any(arms[name].writes.lost for name in REPLICATED)
    lost = all(arms[name].writes.lost for name in LOSING)
    return ClaimFinding.of(node == 0 and kept and lost, says, "% of acknowledged writes lost", points)


CLAIMS = (
    Claim(
        "C07", "state must be replicated: Redis, a database, consensus such as Raft", "9",
        "kill -9 of a replica of the service, then of the store's primary: etcd, NATS JetStream and Hazelcast of three "
        "servers, Redis before a replica that lags, under Sentinel, one Redis and one PostgreSQL",
        "nothing is lost with a replica of the service, nor with the primary of a store that waits for the others; "
        "with that of asynchronous Redis some is, with the only Redis all",
        (PRIMARY_KILL, FAILOVER), _replicated,
    ),
)  # fmt: skip
