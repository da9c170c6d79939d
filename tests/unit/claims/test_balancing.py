"""The claims about who is sent where, on runs made by hand."""

from dataclasses import replace

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, RequestCounts, Spread, Summary
from tests.support import charts as fakes

DRAWN = fakes.summary()
PLAIN = next(iter(DRAWN.designs.values())).arms["control"]
C09, C12, C15 = claims.chosen(["C09", "C12", "C15"])


def arm(cv: float = 0.0, causes: dict[str, int] | None = None, errors: int = 0, **sessions: int) -> ArmFigures:
    counts = {"judged": 100, "lost": 0, "moved": 0, "at_risk": 0, "lost_not_at_risk": 0, **sessions}
    return replace(
        PLAIN,
        requests=RequestCounts(1000, 1000 - errors, 0, errors),
        spread=Spread({"r0": 1, "r1": 1}, 1.0, cv),
        sessions=replace(PLAIN.sessions, lost_by_cause=causes or {}, **counts),  # type: ignore[arg-type]  # counts alone
    )


def summary(scenario: str, designs: dict[str, dict[str, ArmFigures]]) -> Summary:
    made = {name: DesignSummary({}, arms, SessionOutcome.KEPT) for name, arms in designs.items()}
    return Summary(scenario, "now", made, replace(DRAWN.controls, calibration=None))


def spread(round_robin: float = 0.001, ring: float = 0.2, moved: int = 0) -> Runs:
    cvs = {"round_robin": round_robin, "least_connections": 0.05, "ring_hash": ring, "maglev": 0.1, "cookie": 0.01}
    hot = {name: {"control": arm(cv, moved=moved if name == "cookie" else 0)} for name, cv in cvs.items()}
    alike = {name: {"control": arm(0.001)} for name in ("stateless", "header", "cookie")}
    return Runs({"spread": summary("spread", hot), "pinning": summary("pinning", alike)})


def test_an_even_round_robin_and_an_uneven_affinity_support_the_claim() -> None:
    found = C09.found(spread())
    assert found.support is ClaimVerdict.SUPPORTED
    assert "round_robin 0.001" in found.says and "ring_hash 0.200" in found.says


def test_an_uneven_round_robin_or_a_split_session_refutes_it() -> None:
    assert C09.found(spread(round_robin=0.03)).support is ClaimVerdict.REFUTED
    assert C09.found(spread(ring=0.01)).support is ClaimVerdict.SUPPORTED  # maglev's 0.1 is left
    assert C09.found(spread(moved=1)).support is ClaimVerdict.REFUTED


def pinning(calm: int = 0, joins: int = 0) -> Runs:
    ends = {"stopped": 30, "killed": 40}
    designs = {
        "stateless": {"fault": arm()},
        "round_robin": {"control": arm(lost=99)},
        "cookie": {"control": arm(lost=calm), "fault": arm(causes={**ends, "moved": joins}, lost=70)},
        "header": {"control": arm(), "fault": arm(causes={**ends, "moved": 25}, lost=80)},
        "source": {"control": arm(), "fault": arm(causes={"moved": 100}, lost=100)},
        "connection": {"control": arm(causes={"moved": 66}, lost=66), "fault": arm(causes=ends, lost=70)},
    }
    return Runs({"pinning": summary("pinning", designs)})


def test_sessions_that_break_by_their_own_event_alone_support_the_claim() -> None:
    found = C12.found(pinning())
    assert found.support is ClaimVerdict.SUPPORTED
    of = {point.label: point.value for point in found.points}
    assert (of["round_robin: no event"], of["cookie: joins"], of["header: joins"]) == (99.0, 0.0, 25.0)
    assert (of["connection: connects anew"], of["connection: dies"]) == (66.0, 40.0)


def test_a_pinned_session_that_breaks_without_an_event_or_when_a_node_joins_refutes_it() -> None:
    assert C12.found(pinning(calm=1)).support is ClaimVerdict.REFUTED
    assert C12.found(pinning(joins=1)).support is ClaimVerdict.REFUTED


def mesh(errors: int = 2, lost: int = 0) -> Runs:
    designs = {
        "relay": {"control": arm(), "fault": arm()},
        "bare": {"control": arm(), "fault": arm(errors=50)},
        "mesh": {"control": arm(), "fault": arm(errors=errors, lost=lost)},
        "mesh_memory": {"control": arm(), "fault": arm(lost=40, at_risk=33, lost_not_at_risk=7)},
    }
    return Runs({"mesh": summary("mesh", designs)})


def test_a_mesh_that_rescues_requests_and_no_memory_supports_the_claim() -> None:
    found = C15.found(mesh())
    assert found.support is ClaimVerdict.SUPPORTED
    assert "33 were on the dead replica, 7 were moved off living ones" in found.says
    lead = found.points[0]
    assert (lead.label, lead.value, lead.predicted) == ("mesh_memory", 40.0, 33.0)


def test_a_mesh_that_rescues_nothing_refutes_it() -> None:
    assert C15.found(mesh(errors=60)).support is ClaimVerdict.REFUTED
    assert C15.found(mesh(lost=1)).support is ClaimVerdict.REFUTED


def test_times_of_a_driver_that_did_not_keep_up_are_not_told() -> None:
    told = mesh()
    run = told.summaries["mesh"]
    late = replace(arm(), driver=replace(PLAIN.driver, saturated=True))
    spoilt = replace(run, designs={**run.designs, "relay": replace(run.designs["relay"], arms={"control": late})})
    assert "was not measured" in C15.found(Runs({"mesh": spoilt})).says
