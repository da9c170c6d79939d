"""The claims about state that outlives its process, on synthetic runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness import claims
from harness.claims import ClaimFinding, ClaimVerdict, Runs
from harness.claims.durable import CAUGHT_UP
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, EndpointStats, FaultFigures, Phases, Sagas, Summary
from tests.support import charts as fakes

SUMMARY = fakes.summary()
ARM = next(iter(SUMMARY.designs.values())).arms["control"]
LATE = replace(ARM.driver, saturated=True)
ORDERS = Sagas(begun=300, shipped=200, undone=100, half_done=0, repeated=0, resumed=5, left_after={"pay": 5})
ADD, LOOK = "POST /cart/add", "GET /cart"


def stats(anomalies: int = 0, p50: float = 1.0) -> EndpointStats:
    return EndpointStats(100, 100, anomalies, {"200": 100}, p50, 2.0, 100.0, 100.0)


def restarted(opened_s: float, size: int) -> FaultFigures:
    evidence = {"healed_volume_bytes": size, "healed_opened_s": opened_s}
    return FaultFigures("kill", "r0", 2.0, 2.0, 3.0, evidence, 0.0, None)


def arm(
    lost: int = 0, sessions: int = 0, *, opened_s: float = 0.01, sagas: Sagas | None = None, **more: Any
) -> ArmFigures:
    """100 writes and 100 reads per second before the fault, 1000 writes in all."""
    return replace(
        ARM,
        writes=replace(ARM.writes, acknowledged=1000, lost=lost),
        sessions=replace(ARM.sessions, judged=90, lost=sessions, **more),
        names={ADD: stats(), LOOK: stats(anomalies=90), CAUGHT_UP: stats(p50=20.0)},
        phases=Phases(fakes.phase(300.0), None, None),
        faults=(restarted(opened_s, round(opened_s * 1e7)),),
        sagas=sagas,
    )


def runs(**scenarios: dict[str, ArmFigures]) -> Runs:
    controls = replace(SUMMARY.controls, calibration=None)
    return Runs(
        {
            name: Summary(
                name,
                "now",
                {key: DesignSummary({}, {"fault": figures}, SessionOutcome.KEPT) for key, figures in arms.items()},
                controls,
            )
            for name, arms in scenarios.items()
        }
    )


def evaluate(claim_id: str, **scenarios: dict[str, ArmFigures]) -> ClaimFinding:
    [claim] = claims.select([claim_id])
    return claim.evaluate(runs(**scenarios))


def checkpoints(**changed: ArmFigures) -> dict[str, ArmFigures]:
    return {"often": arm(10), "seldom": arm(60), "large": arm(90, opened_s=0.4), **changed}


def test_a_loss_of_one_interval_at_the_most_supports_checkpoints() -> None:
    finding = evaluate("C08", checkpoint=checkpoints())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert [round(point.value, 2) for point in finding.points] == [0.1, 0.6, 0.9]
    assert [point.predicted for point in finding.points] == [0.5, 1.5, 1.5]
    assert "after 0.01 s with 0.10 MB on its volume, after 0.40 s with 4.0 MB" in finding.says


@pytest.mark.parametrize(
    ("changed", "support"),
    [
        ({"often": arm(70)}, ClaimVerdict.REFUTED),  # more than its interval holds
        ({"often": replace(arm(70), driver=LATE)}, ClaimVerdict.UNKNOWN),
        ({"seldom": arm(60, sessions=1)}, ClaimVerdict.REFUTED),
        ({"large": arm(90, opened_s=0.005)}, ClaimVerdict.REFUTED),  # size costs nothing
        ({name: arm(0, opened_s=0.4) for name in ("often", "seldom", "large")}, ClaimVerdict.UNKNOWN),
        ({"large": replace(arm(90), faults=())}, ClaimVerdict.UNKNOWN),
    ],
)
def test_another_result_of_the_checkpoints_does_not_support_them(
    changed: dict[str, ArmFigures], support: ClaimVerdict
) -> None:
    assert evaluate("C08", checkpoint=checkpoints(**changed)).verdict is support


def evented(event: int = 0, view: int = 0, orders: Sagas = ORDERS) -> dict[str, dict[str, ArmFigures]]:
    return {
        "eventlog": {"synced": arm(event), "long": arm(0, opened_s=0.4)},
        "cqrs": {"quick_view": arm(view), "late_view": arm(0)},
        "saga": {"logged": arm(sagas=orders), "forgetful": arm(sagas=replace(ORDERS, half_done=4))},
    }


def test_no_event_lost_and_no_saga_half_done_supports_event_sourcing() -> None:
    finding = evaluate("C21", **evented())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "0 of 4,000 acknowledged events lost" in finding.says
    assert "20 and 20 ms behind: 180 of 200 reads" in finding.says


@pytest.mark.parametrize(
    ("worse", "support"),
    [
        (lambda: evented(event=1), ClaimVerdict.REFUTED),
        (lambda: evented(view=1), ClaimVerdict.REFUTED),
        (lambda: evented(orders=replace(ORDERS, half_done=1)), ClaimVerdict.REFUTED),
        (lambda: evented(orders=replace(ORDERS, repeated=1)), ClaimVerdict.REFUTED),
        (lambda: evented(orders=replace(ORDERS, resumed=0)), ClaimVerdict.UNKNOWN),
    ],
)
def test_a_lost_event_or_a_half_done_saga_does_not(
    worse: Callable[[], dict[str, dict[str, ArmFigures]]], support: ClaimVerdict
) -> None:
    assert evaluate("C21", **worse()).verdict is support


@pytest.mark.parametrize(
    ("logged", "forgetful", "support"),
    [
        ((0, 5), (4, 0), ClaimVerdict.SUPPORTED),
        ((1, 5), (4, 0), ClaimVerdict.REFUTED),  # its log did not help
        ((0, 5), (0, 3), ClaimVerdict.REFUTED),  # it needs no state
        ((0, 0), (4, 0), ClaimVerdict.UNKNOWN),  # the kill interrupted no saga
        ((0, 5), (0, 0), ClaimVerdict.UNKNOWN),
    ],
)
def test_a_coordinator_has_state_if_orders_stay_half_done_without_it(
    logged: tuple[int, int], forgetful: tuple[int, int], support: ClaimVerdict
) -> None:
    arms = {
        name: arm(sagas=replace(ORDERS, half_done=half, resumed=resumed))
        for name, (half, resumed) in (("logged", logged), ("forgetful", forgetful))
    }
    assert evaluate("C24", saga=arms).verdict is support
