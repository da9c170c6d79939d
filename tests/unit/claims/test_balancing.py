"""The claims about how the balancer chooses a replica, on synthetic runs."""

from dataclasses import replace

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, RequestCounts, Spread, Summary
from tests.support import charts as fakes

SUMMARY = fakes.summary()
ARM = next(iter(SUMMARY.designs.values())).arms["control"]
C09, C12, C15 = claims.select(["C09", "C12", "C15"])


def arm(cv: float = 0.0, causes: dict[str, int] | None = None, errors: int = 0, **sessions: int) -> ArmFigures:
    counts = {"judged": 100, "lost": 0, "moved": 0, "at_risk": 0, "lost_not_at_risk": 0, **sessions}
    return replace(
        ARM,
        requests=RequestCounts(1000, 1000 - errors, 0, errors),
        spread=Spread({"r0": 1, "r1": 1}, 1.0, cv),
        sessions=replace(ARM.sessions, lost_by_cause=causes or {}, **counts),  # type: ignore[arg-type]  # counts alone
    )


def summary(scenario: str, designs: dict[str, dict[str, ArmFigures]]) -> Summary:
    summaries = {name: DesignSummary({}, arms, SessionOutcome.KEPT) for name, arms in designs.items()}
    return Summary(scenario, "now", summaries, replace(SUMMARY.controls, calibration=None))


def spread(round_robin: float = 0.001, ring: float = 0.2, moved: int = 0) -> Runs:
    cvs = {"round_robin": round_robin, "least_connections": 0.05, "ring_hash": ring, "maglev": 0.1, "cookie": 0.01}
    hot = {name: {"control": arm(cv, moved=moved if name == "cookie" else 0)} for name, cv in cvs.items()}
    alike = {name: {"control": arm(0.001)} for name in ("stateless", "header", "cookie")}
    return Runs({"spread": summary("spread", hot), "pinning": summary("pinning", alike)})


def test_an_even_round_robin_and_an_uneven_affinity_support_the_claim() -> None:
    finding = C09.evaluate(spread())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "round_robin 0.001" in finding.says and "ring_hash 0.200" in finding.says


def test_an_uneven_round_robin_or_a_split_session_refutes_it() -> None:
    assert C09.evaluate(spread(round_robin=0.03)).verdict is ClaimVerdict.REFUTED
    assert C09.evaluate(spread(ring=0.01)).verdict is ClaimVerdict.LIMITED  # maglev's 0.1 is left
    assert C09.evaluate(spread(moved=1)).verdict is ClaimVerdict.REFUTED


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
    finding = C12.evaluate(pinning())
    assert finding.verdict is ClaimVerdict.SUPPORTED
    values = {point.label: point.value for point in finding.points}
    assert (values["round_robin: no event"], values["cookie: joins"], values["header: joins"]) == (99.0, 0.0, 25.0)
    assert (values["connection: reconnects"], values["connection: dies"]) == (66.0, 40.0)


def test_a_pinned_session_that_breaks_without_an_event_or_when_a_node_joins_refutes_it() -> None:
    assert C12.evaluate(pinning(calm=1)).verdict is ClaimVerdict.REFUTED
    assert C12.evaluate(pinning(joins=1)).verdict is ClaimVerdict.REFUTED


def mesh(errors: int = 2, lost: int = 0) -> Runs:
    designs = {
        "relay": {"control": arm(), "fault": arm()},
        "bare": {"control": arm(), "fault": arm(errors=50)},
        "mesh": {"control": arm(), "fault": arm(errors=errors, lost=lost)},
        "mesh_memory": {"control": arm(), "fault": arm(lost=40, at_risk=33, lost_not_at_risk=7)},
    }
    return Runs({"mesh": summary("mesh", designs)})


def test_a_mesh_that_rescues_requests_and_no_memory_supports_the_claim() -> None:
    finding = C15.evaluate(mesh())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "33 were on the dead replica, 7 were moved off live ones" in finding.says
    lead = finding.points[0]
    assert (lead.label, lead.value, lead.predicted) == ("mesh_memory", 40.0, 33.0)


def test_a_mesh_that_rescues_nothing_refutes_it() -> None:
    assert C15.evaluate(mesh(errors=60)).verdict is ClaimVerdict.REFUTED
    assert C15.evaluate(mesh(lost=1)).verdict is ClaimVerdict.REFUTED


def test_times_of_a_saturated_driver_are_not_reported() -> None:
    run = mesh().summaries["mesh"]
    late = replace(arm(), driver=replace(ARM.driver, saturated=True))
    spoilt = replace(run, designs={**run.designs, "relay": replace(run.designs["relay"], arms={"control": late})})
    assert "was not measured" in C15.evaluate(Runs({"mesh": spoilt})).says
