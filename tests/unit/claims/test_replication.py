"""The claim about replicated state, on synthetic runs."""

from dataclasses import replace

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.claims.replication import REPLICATED
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, FaultFigures, Summary
from tests.support import charts as fakes

SUMMARY = fakes.summary()
ARM = next(iter(SUMMARY.designs.values())).arms["control"]
[CLAIM] = claims.select(["C07"])


def arm(lost: int, away: float | None = None, saturated: bool | None = False, node: int = 0) -> ArmFigures:
    fault = FaultFigures("kill_primary", "store", 1.0, 1.0, 2.0, {}, away, None, None, None)
    writes = replace(ARM.writes, acknowledged=100, lost=lost)
    sessions = replace(ARM.sessions, lost_by_cause={"killed": node})
    driver = replace(ARM.driver, saturated=saturated)
    return replace(ARM, writes=writes, sessions=sessions, faults=(fault,), driver=driver)


def runs(node: int = 0, nats: int = 0, redis: int = 100, sentinel: int = 5, saturated: bool = False) -> Runs:
    replicated = {name: arm(0, 1.25, saturated) for name in REPLICATED} | {"nats": arm(nats, 6.5, saturated)}
    alone = {"redis": arm(redis, 1.0), "redis_sentinel": arm(sentinel, 2.5), "postgres": arm(0, 1.0, node=node)}
    scenarios = {"store_failover": alone, "primary_kill": replicated}
    controls = replace(SUMMARY.controls, calibration=None)
    return Runs(
        {
            name: Summary(
                name,
                "now",
                {
                    design: DesignSummary({}, {"fault": figures}, SessionOutcome.KEPT)
                    for design, figures in arms.items()
                },
                controls,
            )
            for name, arms in scenarios.items()
        }
    )


def test_replicated_stores_that_lose_nothing_support_the_claim_with_how_long_each_was_unavailable() -> None:
    finding = CLAIM.evaluate(runs())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert (
        "nats 0 of 100, unavailable for 6.5 s" in finding.says
        and "etcd 0 of 100, unavailable for 1.2 s" in finding.says
    )
    assert [(point.label, point.value) for point in finding.points] == [
        *((name, 0.0) for name in REPLICATED),
        *(("redis", 100.0), ("redis_sentinel", 5.0), ("postgres", 0.0)),
    ]


def test_one_lost_write_of_a_replicated_store_or_of_a_dead_node_refutes_it() -> None:
    assert CLAIM.evaluate(runs(nats=1)).verdict is ClaimVerdict.REFUTED
    assert CLAIM.evaluate(runs(node=1)).verdict is ClaimVerdict.REFUTED
    assert CLAIM.evaluate(runs(redis=0)).verdict is ClaimVerdict.REFUTED
    assert CLAIM.evaluate(runs(sentinel=0)).verdict is ClaimVerdict.REFUTED


def test_times_of_a_saturated_driver_are_not_reported_but_its_counts_are() -> None:
    finding = CLAIM.evaluate(runs(saturated=True))
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "nats 0 of 100, unavailable for a time that this run cannot measure" in finding.says


def test_without_one_of_its_runs_it_is_unknown() -> None:
    missing = replace(runs(), summaries={}, missing={"primary_kill": "it took too long"})
    assert CLAIM.evaluate(missing).verdict is ClaimVerdict.UNKNOWN
