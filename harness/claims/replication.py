"""The claim about replicated state: C07."""

from collections.abc import Mapping

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs
from harness.results.summary import ArmFigures

PRIMARY_KILL = RequiredRun("primary_kill", timeout_s=240)
STORE_FAILOVER = RequiredRun("store_failover", timeout_s=240)

#: Stores that acknowledge a write only after more than one of their servers has it.
REPLICATED = ("etcd", "hazelcast", "nats")
#: Stores that lose writes with their only server, or with a primary that acknowledges before its replica has the write.
LOSING = ("redis", "redis_sentinel")
_STORE_KILLS = ("kill_primary", "kill_store")


def _judge_replication(runs: Runs) -> ClaimFinding:
    arms = {
        **{name: runs.arm("primary_kill", name) for name in REPLICATED},
        **{name: runs.arm("store_failover", name) for name in (*LOSING, "postgres")},
    }
    points = [
        ClaimPoint.share(name, arm.writes.lost, arm.writes.acknowledged, None if name in LOSING else 0.0)
        for name, arm in arms.items()
    ]
    lost_with_replica = sum(arm.sessions.lost_by_cause.get("killed", 0) for arm in arms.values())
    judged = sum(arm.sessions.judged for arm in arms.values())
    says = (
        f"the death of a replica of the service lost {lost_with_replica} of {judged} sessions; the death of the "
        f"store's first server lost, of the acknowledged writes: {_list_losses(arms)}"
    )
    lost_writes = {name for name, arm in arms.items() if arm.writes.lost}
    holds = lost_with_replica == 0 and lost_writes - {"postgres"} == set(LOSING)
    return ClaimFinding.supported_if(holds, says, "% of acknowledged writes lost", points)


def _list_losses(arms: Mapping[str, ArmFigures]) -> str:
    return "; ".join(
        f"{name} {arm.writes.lost:,} of {arm.writes.acknowledged:,}, {_describe_unavailability(arm)}"
        for name, arm in arms.items()
    )


def _describe_unavailability(arm: ArmFigures) -> str:
    """How long the store's failure affected requests: until the last one that it broke."""
    duration_s = next((fault.detect_s for fault in arm.faults if fault.kind in _STORE_KILLS), None)
    if not arm.times_trusted or duration_s is None:
        return "unavailable for a time that this run cannot measure"
    return f"unavailable for {duration_s:.1f} s"


CLAIMS = (
    Claim(
        "C07", "state must be replicated: Redis, a database, consensus such as Raft", "9",
        "kill -9 of a replica of the service, then of the store's primary: etcd, NATS JetStream and Hazelcast with "
        "three servers, Redis with a lagging replica under Sentinel, a single Redis and a single PostgreSQL",
        "nothing is lost with a replica of the service, nor with the primary of a store that waits for its other "
        "servers; some writes are lost with the primary of asynchronous Redis, and all of them with a single Redis",
        (PRIMARY_KILL, STORE_FAILOVER), _judge_replication,
    ),
)  # fmt: skip
