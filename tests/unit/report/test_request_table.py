from collections.abc import Mapping
from dataclasses import replace

import pytest

from harness.report.request_table import TOTAL, RequestTable, request_tables
from harness.results.summary import EndpointStats, RequestCounts
from tests.support import charts as fakes


def stats(requests: int, failures: Mapping[str, int] | None = None, wrong: int = 0) -> EndpointStats:
    failures = failures or {}
    failed = sum(failures.values())
    answered = {"200": requests - failed, **failures}
    times = EndpointStats(requests, requests - failed, wrong, answered, 2.0, 9.0, 1.0, 1.0, 4.0, 20.0, 31.0)
    return replace(times, wrong=wrong, failures=failures)


def the_table() -> RequestTable:
    """One arm: 600 requests in 20 s, of which 30 failed and 12 were never sent."""
    run = fakes.summary([fakes.TRIO[0]], arms=("fault",))
    arm = replace(
        run.designs["sticky"].arms["fault"],
        requests=RequestCounts(612, 570, 40, 2, 12),
        throughput=replace(run.designs["sticky"].arms["fault"].throughput, mean=28.5),
        names={
            "GET /cart": stats(400),
            "POST /orders": stats(200, {"503": 20, "0": 9, "500": 1}, wrong=2),
        },
    )
    designs = {"sticky": replace(run.designs["sticky"], arms={"fault": arm})}
    (table,) = request_tables(replace(run, designs=designs))
    return table


def test_each_name_has_its_count_rate_errors_and_times() -> None:
    assert the_table().title == "sticky, with the fault"
    assert [row.cells for row in the_table().rows[:2]] == [
        ("GET /cart", "400", "20", "0", "2", "4", "9", "31"),
        ("POST /orders", "200", "10", "30: 503 (20), no reply (9), 500 (1); wrong content (2)", "2", "4", "9", "31"),
    ]


def test_the_total_is_that_of_the_arm_with_what_was_never_sent() -> None:
    total = the_table().rows[-1]
    assert (total.name, total.count, total.errors, total.wrong) == (TOTAL, 612, 42, 2)
    assert total.rate == pytest.approx(30.6)
    assert total.statuses == {"503": 20, "0": 9, "500": 1}


def test_rare_statuses_are_counted_together() -> None:
    row = replace(the_table().rows[0], errors=6, statuses={str(code): 1 for code in range(500, 506)})
    assert row.described_errors == "6: 500 (1), 501 (1), 502 (1), 503 (1), 2 more"


def test_nothing_that_was_ok_implies_no_rate() -> None:
    run = fakes.summary([fakes.TRIO[0]], arms=("fault",))
    arm = replace(run.designs["sticky"].arms["fault"], requests=RequestCounts(5, 0, 5, 0))
    (table,) = request_tables(replace(run, designs={"sticky": replace(run.designs["sticky"], arms={"fault": arm})}))
    assert table.rows[-1].cells[2] == "-"
