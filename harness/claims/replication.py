"""The claim about replicated state: C07."""

from collections.abc import Mapping

from harness.claims.claim import Claim, Finding, Need, Point, Runs
from harness.summary import Arm

NODE_KILL, STORE_KILL = Need("node_kill"), Need("store_kill")
PRIMARY_KILL = Need("primary_kill", budget=240)

#: Each lost a replica of the service, and then the server that leads its store.
REPLICATED = ("etcd", "hazelcast", "nats")


def _unavailable(arm: Arm) -> str:
    """How long the store's fault was felt: until the last request that it broke."""
    felt = next((fault.detect_s for fault in arm.faults if fault.target == "store"), None)
    trusted = arm.driver.saturated is False and felt is not None
    return f"away for {felt:.1f} s" if trusted else "away for a time that this run cannot tell"


def _replicated(runs: Runs) -> Finding:
    node = runs.arm("node_kill", "hybrid").writes
    arms: Mapping[str, Arm] = {
        **{name: runs.arm("primary_kill", name) for name in REPLICATED},
        "redis alone": runs.arm("store_kill", "hybrid"),
    }
    points = [
        Point.share(name, arm.writes.lost, arm.writes.acknowledged, None if name == "redis alone" else 0.0)
        for name, arm in arms.items()
    ]
    rows = [
        f"{name} {arm.writes.lost:,} of {arm.writes.acknowledged:,}, {_unavailable(arm)}" for name, arm in arms.items()
    ]
    says = (
        f"acknowledged writes lost: with a replica of the service {node.lost} of {node.acknowledged:,} (redis); "
        f"with the store's primary {'; '.join(rows)}. The replicated ones had lost a replica of the service as well"
    )
    held = all(arms[name].writes.lost == 0 for name in REPLICATED)
    return Finding.of(
        node.lost == 0 and held and arms["redis alone"].writes.lost > 0, says, "% of acknowledged writes lost", points
    )


CLAIMS = (
    Claim(
        "C07", "state must be replicated: Redis, a database, consensus such as Raft", "9",
        "kill -9 of a replica of the service, then of the store's primary: etcd, NATS JetStream and Hazelcast of three "
        "servers, and one Redis",
        "no acknowledged write is lost with a replica of the service, nor with the primary of a replicated store; "
        "with the only Redis all are",
        (NODE_KILL, STORE_KILL, PRIMARY_KILL), _replicated,
    ),
)  # fmt: skip
