"""The claim about replicated state, on runs made by hand."""

from dataclasses import replace

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.claims.replication import REPLICATED
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, FaultFigures, Summary
from tests.support import charts as fakes

DRAWN = fakes.summary()
PLAIN = next(iter(DRAWN.designs.values())).arms["control"]
[CLAIM] = claims.chosen(["C07"])


def arm(lost: int, away: float | None = None, saturated: bool | None = False, node: int = 0) -> ArmFigures:
    fault = FaultFigures("kill_primary", "store", 1.0, 1.0, 2.0, {}, away, None, None, None)
    writes = replace(PLAIN.writes, acknowledged=100, lost=lost)
    sessions = replace(PLAIN.sessions, lost_by_cause={"killed": node})
    driver = replace(PLAIN.driver, saturated=saturated)
    return replace(PLAIN, writes=writes, sessions=sessions, faults=(fault,), driver=driver)


def runs(node: int = 0, nats: int = 0, redis: int = 100, sentinel: int = 5, saturated: bool = False) -> Runs:
    replicated = {name: arm(0, 1.25, saturated) for name in REPLICATED} | {"nats": arm(nats, 6.5, saturated)}
    alone = {"redis": arm(redis, 1.0), "redis_sentinel": arm(sentinel, 2.5), "postgres": arm(0, 1.0, node=node)}
    found = {"store_failover": alone, "primary_kill": replicated}
    controls = replace(DRAWN.controls, calibration=None)
    return Runs(
        {
            name: Summary(
                name,
                "now",
                {d: DesignSummary({}, {"fault": one}, SessionOutcome.KEPT) for d, one in arms.items()},
                controls,
            )
            for name, arms in found.items()
        }
    )


def test_replicated_stores_that_lose_nothing_support_the_claim_with_how_long_each_was_away() -> None:
    found = CLAIM.found(runs())
    assert found.support is ClaimVerdict.SUPPORTED
    assert "nats 0 of 100, away for 6.5 s" in found.says and "etcd 0 of 100, away for 1.2 s" in found.says
    assert [(point.label, point.value) for point in found.points] == [
        *((name, 0.0) for name in REPLICATED),
        *(("redis", 100.0), ("redis_sentinel", 5.0), ("postgres", 0.0)),
    ]


def test_one_lost_write_of_a_replicated_store_or_of_a_dead_node_refutes_it() -> None:
    assert CLAIM.found(runs(nats=1)).support is ClaimVerdict.REFUTED
    assert CLAIM.found(runs(node=1)).support is ClaimVerdict.REFUTED
    assert CLAIM.found(runs(redis=0)).support is ClaimVerdict.REFUTED
    assert CLAIM.found(runs(sentinel=0)).support is ClaimVerdict.REFUTED


def test_times_of_a_load_that_could_not_keep_up_are_not_told_while_the_counts_are() -> None:
    found = CLAIM.found(runs(saturated=True))
    assert found.support is ClaimVerdict.SUPPORTED
    assert "nats 0 of 100, away for a time that this run cannot tell" in found.says


def test_without_one_of_its_runs_it_is_unknown() -> None:
    missing = replace(runs(), summaries={}, missing={"primary_kill": "it took too long"})
    assert CLAIM.found(missing).support is ClaimVerdict.UNKNOWN
