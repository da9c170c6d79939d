"""Two thirds of the orders are refused, though no session is lost."""

from pathlib import Path

import pytest

from tests.support.cases import run_case


@pytest.mark.slow
def test_the_sessions_are_kept_though_two_orders_of_three_are_refused(tmp_path: Path) -> None:
    case = run_case("antiforgery_per_instance", tmp_path)
    design = case.summary.designs["own_keys"]
    orders = design.arms["control"].names["POST /orders"]
    assert design.finding == "kept"
    assert 0.55 < orders.statuses["400"] / orders.requests < 0.78, orders
    assert f"{orders.statuses['400']:,} of {orders.requests:,} POST /orders answered 400" in case.first_line
    assert case.code == 1
    results = {verdict.check: verdict.result for verdict in case.verdicts if verdict.check != "driver_kept_up"}
    assert (results["keeps"], results["control_errors"]) == ("pass", "fail")
