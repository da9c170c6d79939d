"""docs/decide.md: what is advised for a need, by design, by losses and by costs that differ for certain."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.claims import Runs, decision_page
from harness.claims.decision_page import PLACES_RUN, DecisionRow, figures_page, page, rows
from harness.claims.places import PLACES
from harness.results.summary import ArmFigures, DesignSummary, Summary
from scenarios import places as scenario
from tests.support import charts as fakes

SUMMARY = fakes.summary()
ARM = SUMMARY.designs["sticky"].arms["control"]
STEADY = (0.99, 1.0, 1.01)  # repeats of a cost, relative to it


def control(cpu_ms: float, spread: Sequence[float] = STEADY) -> ArmFigures:
    repeats = tuple(replace(ARM, resources=replace(ARM.resources, cpu_ms_per_request=cpu_ms * each)) for each in spread)
    return replace(repeats[0], repeats=repeats)


def fault(lost: int, writes: int = 0) -> ArmFigures:
    """Two repeats of 100 sessions, the losses in the second."""
    sessions = replace(ARM.sessions, started=100, judged=100, lost=0)
    first = replace(ARM, sessions=sessions, writes=replace(ARM.writes, acknowledged=1000, lost=0))
    second = replace(first, sessions=replace(sessions, lost=lost), writes=replace(first.writes, lost=writes))
    return replace(first, repeats=(first, second))


def place(
    name: str, cpu_ms: float, lost: Mapping[str, int] | None = None, spread: Sequence[float] = STEADY, writes: int = 0
) -> dict[str, DesignSummary]:
    """A place that lost nothing but what is given by mishap."""
    losses = {"killed": 0, "deployed": 0, "shrunk": 0, **(lost or {})}
    describe = {"policy": "round_robin"}
    return {
        f"{name}_{mishap}": replace(
            SUMMARY.designs["sticky"],
            describe=describe,
            arms={"control": control(cpu_ms, spread), "fault": fault(count, writes)},
        )
        for mishap, count in losses.items()
    }


def run_of(*designs: Mapping[str, DesignSummary]) -> Runs:
    merged = {name: design for each in designs for name, design in each.items()}
    return Runs({PLACES_RUN.name: replace(SUMMARY, designs=merged)})


def guide(runs: Runs, safety: Mapping[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """By need, the first choice and what it costs."""
    text = page(runs, safety or {})
    lines = [line for line in text.splitlines() if line.startswith("| **") and line.count("|") == 4]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {need.strip("*"): (first, cost) for need, first, cost in cells if need.strip("*") not in PLACES}


NODE, OPERATED, STORE = (requirement.need for requirement in decision_page.REQUIREMENTS[:3])
REVOKE, WRITERS, CACHE, CHEAP = (requirement.need for requirement in decision_page.REQUIREMENTS[3:])
ALL = run_of(
    place("token", 0.48),
    place("memory", 0.35, {"killed": 30, "deployed": 90, "shrunk": 30}),
    place("memcached", 0.44, {"storeless": 90}),
    place("postgres", 0.50, {"storeless": 0}),
    place("etcd", 1.5, {"storeless": 0}),
)


def test_the_guide_starts_from_the_need_as_a_table_of_three_columns() -> None:
    text = page(ALL, {})
    assert text.index("| need | first choice | what it costs |") < text.index("## Trade-offs")
    assert list(guide(ALL)) == [requirement.need for requirement in decision_page.REQUIREMENTS]


@pytest.mark.parametrize("need", [NODE, OPERATED, STORE, REVOKE])
def test_a_volatile_place_never_leads_where_nothing_may_be_lost(need: str) -> None:
    first, cost = guide(ALL)[need]
    assert "memcached" not in first and "memory" not in first
    assert ("cheaper, but excluded because it keeps state in the memory of a server: memcached" in cost) is (
        need != STORE
    ), "it lost all with the store, so it did not meet that need at all"


def test_each_need_has_the_cheapest_place_that_meets_it() -> None:
    advice = {
        need: first for need, (first, _) in guide(ALL, {"memory": "safe", "postgres": "safe with a check"}).items()
    }
    assert advice[NODE] == advice[OPERATED] == advice[STORE] == "**token**"
    assert advice[REVOKE] == "**postgres**", "a token cannot be revoked"
    assert advice[WRITERS] == "**postgres**", "memory is safe for two writers, and keeps nothing"
    assert advice[CACHE] == "**memcached**"
    assert advice[CHEAP] == "**memory**"


def test_no_update_is_lost_only_where_an_acknowledged_write_outlives_its_server() -> None:
    runs = run_of(place("redis_sentinel", 0.4), place("postgres", 0.5))
    first, cost = guide(runs, {"redis_sentinel": "safe with a check", "postgres": "safe with a check"})[WRITERS]
    assert first == "**postgres**"
    assert "excluded because it keeps state on a server whose replica may lag: redis_sentinel" in cost


def test_times_of_a_busy_machine_are_marked() -> None:
    calm, busy, tail = (
        figures_page(
            run_of({"redis_killed": replace(SUMMARY.designs["sticky"], describe={"policy": "x"}, arms=arms)}), {}
        )
        for arms in (
            {"control": replace(control(0.5), driver=replace(ARM.driver, saturated=saturated, doubtful=doubtful))}
            for saturated, doubtful in ((False, ()), (True, ()), (False, ("p99",)))
        )
    )
    p50, p99 = (f"{value:.3g}" for value in (ARM.latency_ms.p50 or 0, ARM.latency_ms.p99 or 0))
    assert f"| {p50} / {p99} |" in calm
    assert f"| {p50}? / {p99}? |" in busy
    assert f"| {p50} / {p99}? |" in tail


def test_costs_that_are_not_certainly_different_are_a_tie() -> None:
    near = run_of(place("token", 0.48, spread=(0.8, 1.0, 1.2)), place("postgres", 0.50, spread=(0.8, 1.0, 1.2)))
    first, cost = guide(near)[OPERATED]
    assert first == "**token** or **postgres** (a tie)"
    assert "token: 0.4" in cost and "postgres: 0.4" in cost
    apart = run_of(place("token", 0.48), place("postgres", 0.60))
    assert guide(apart)[OPERATED][0] == "**token**"


def test_a_cost_that_was_measured_once_decides_nothing() -> None:
    single = {**place("token", 0.2, spread=(1.0,)), **place("sqlite", 0.5, spread=(1.0,))}
    once = run_of({name: design for name, design in single.items() if "killed" in name})
    first, cost = guide(once)[NODE]
    assert first == "**token** or **sqlite** (a tie)"
    assert "0.2 (measured once) ms" in cost


def test_a_place_that_lost_a_write_does_not_meet_a_need_that_forbids_it() -> None:
    lossy = run_of(place("token", 0.3, writes=1), place("postgres", 0.5))
    assert guide(lossy)[NODE][0] == "**postgres**"


def test_where_no_place_fits_it_says_so() -> None:
    assert guide(run_of(place("memory", 0.3, {"killed": 9})))[STORE] == ("no measured place offers it", "")


def test_a_mishap_of_which_nothing_was_judged_is_no_proof() -> None:
    designs = place("token", 0.3)
    killed = designs["token_killed"]
    blind = replace(ARM, sessions=replace(ARM.sessions, judged=0, lost=0), writes=replace(ARM.writes, lost=0))
    designs["token_killed"] = replace(killed, arms={**killed.arms, "fault": blind})
    assert guide(run_of(designs))[NODE][0] == "no measured place offers it"
    assert "| unknown |" in figures_page(run_of(designs), {})


def test_the_table_pools_repeats_and_gives_intervals() -> None:
    text = figures_page(run_of(place("memory", 0.4, {"killed": 40}), place("redis", 0.5, writes=7)), {})
    assert "| 40 of 200 (at most 26.2 %) | 0 of 200 (at most 1.83 %) |" in text
    assert "| 0 of 200 (at most 1.83 %), 21 writes |" not in text
    assert "| 0 of 200 (at most 1.83 %), 7 writes |" in text
    assert "| has none |" in text
    assert "0.4 (0.397 to 0.403)" in text


def test_the_cost_is_of_every_repeat_without_a_fault() -> None:
    (row,) = rows(run_of(place("redis", 0.5)).summary(PLACES_RUN.name), {})
    assert len(row.costs) == 9, "three repeats for each of three mishaps"
    assert row.cpu_ms == pytest.approx(0.5, rel=1e-3)
    assert DecisionRow("redis", {}).cpu_ms == float("inf")


def test_each_place_has_its_trade_offs_in_a_sentence() -> None:
    text = page(ALL, {})
    for name in ("token", "memory", "memcached", "postgres", "etcd"):
        assert f"- **{name}** ({PLACES[name].keeping}): {PLACES[name].trade_off}." in text
    assert all(len(each.trade_off.split()) >= 10 for each in PLACES.values())


def test_every_place_that_is_measured_is_described() -> None:
    assert set(PLACES) == set(scenario.PLACES)
    assert {name for name, each in PLACES.items() if each.volatile} == {"memory", "replicated", "memcached", "redis"}
    assert not any(each.durable for each in PLACES.values() if each.volatile)


def test_a_run_with_repeats_is_asked_for_and_without_it_the_page_says_so(tmp_path: Path) -> None:
    assert PLACES_RUN in decision_page.RUNS and "--repeat" in PLACES_RUN.arguments
    written = decision_page.write(ALL, tmp_path).read_text()
    assert written.startswith("# Where should session state live?")
    assert "| **postgres** | " in (tmp_path / "decide-figures.md").read_text()
    assert "](decide-figures.md)" in written and "a replica is killed |" not in written
    assert "Nothing was measured: places was not measured" in decision_page.write(Runs(), tmp_path).read_text()


def test_a_summary_of_other_designs_has_no_rows() -> None:
    other: Summary = replace(SUMMARY, designs={"somewhere_killed": SUMMARY.designs["sticky"]})
    assert rows(other, {}) == ()
