"""The claims about payloads and logins, on runs made by hand."""

from dataclasses import replace

import pytest

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, EndpointStats, FaultFigures, Summary
from tests.support import charts as fakes

DRAWN = fakes.summary()
PLAIN = next(iter(DRAWN.designs.values())).arms["control"]


def named(size: float = 100.0, anomalies: int = 0, **statuses: int) -> EndpointStats:
    told = {name.removeprefix("s"): count for name, count in statuses.items()} or {"200": 10}
    total = sum(told.values())
    return EndpointStats(total, told.get("200", 0), anomalies, told, 1.0, 2.0, size, size)


def arm(names: dict[str, EndpointStats], **sessions: int) -> ArmFigures:
    return replace(PLAIN, names=names, sessions=replace(PLAIN.sessions, **sessions))  # type: ignore[arg-type]  # counts alone


def run(scenario: str, designs: dict[str, dict[str, ArmFigures]]) -> Runs:
    made = {name: DesignSummary({}, arms, SessionOutcome.KEPT) for name, arms in designs.items()}
    controls = replace(DRAWN.controls, calibration=None)
    return Runs({scenario: Summary(scenario, "now", made, controls)})


def looks(sizes: dict[int, float], bad: int | None = None) -> dict[str, EndpointStats]:
    return {f"look at {n}": named(size, anomalies=5 * (n == bad)) for n, size in sizes.items()}


def payload(cookie_at_100: float) -> Runs:
    jwt = arm(looks({1: 400, 10: 700, 50: 1900, 100: 3300, 130: 4200}, bad=130))
    signed = arm(looks({1: 300, 100: 1400}))
    cookie = arm(looks({1: 160, 100: cookie_at_100}))
    designs = {"jwt": jwt, "signed": signed, "cookie": cookie, "jwt_nginx": jwt}
    return run("payload", {name: {"control": one} for name, one in designs.items()})


def test_a_token_that_grows_beside_a_cookie_that_does_not_supports_the_claim() -> None:
    [claim] = claims.chosen(["C02"])
    found = claim.found(payload(cookie_at_100=160))
    assert found.support is ClaimVerdict.SUPPORTED
    assert "At 130 items the JWT was beyond 4096 bytes" in found.says
    assert claim.found(payload(cookie_at_100=3000)).support is ClaimVerdict.REFUTED


def test_the_clients_own_hits_are_counted_from_the_names() -> None:
    [claim] = claims.chosen(["C16"])
    asked = {"asked after 0 hits": named(s200=30, s304=10), "asked after 3 hits": named(s200=20)}
    good = arm(asked, wrong=0, moved=40)
    found = claim.found(run("content", {"content": {"control": good, "fault": good}}))
    assert found.support is ClaimVerdict.SUPPORTED
    assert [round(point.value, 1) for point in found.points] == [50.0, 8.3, 41.7]
    bad = replace(good, sessions=replace(good.sessions, wrong=1))
    found = claim.found(run("content", {"content": {"control": good, "fault": bad}}))
    assert found.support is ClaimVerdict.REFUTED


def logins(jwt_lives: bool = True, overlap: int = 0, abrupt: int = 20) -> Runs:
    me = {"GET /me": named()}
    gone = arm({**me, "copy after 0 s": named(s401=30)})
    lives = {
        "copy after 0 s": named(s200=50),
        "copy after 1.5 s": named(s200=9, s401=4),
        "copy after 1.75 s": named(s401=9),
    }
    jwt = arm({**me, **(lives if jwt_lives else {"copy after 0 s": named(s401=30)})})
    designs = {
        "jwt": {"control": jwt, "fault": arm(me, forced_login=overlap)},
        "jwt_abrupt": {"fault": arm(me, forced_login=abrupt)},
        "opaque": {"control": gone},
        "session": {"control": gone},
    }
    return run("login", designs)


def test_a_jwt_that_outlives_its_logout_is_told_with_how_long() -> None:
    compared, stateful = claims.chosen(["C11", "C17"])
    found = compared.found(logins())
    assert found.support is ClaimVerdict.SUPPORTED
    assert {point.label: point.value for point in found.points} == {"jwt": 1.5, "opaque": 0, "session": 0}
    shares = stateful.found(logins())
    assert shares.support is ClaimVerdict.SUPPORTED
    assert {point.label: point.value for point in shares.points} == {"jwt": 0, "opaque": 100, "session": 100}


@pytest.mark.parametrize("otherwise", [{"jwt_lives": False}, {"overlap": 3}, {"abrupt": 0}])
def test_what_comes_out_otherwise_is_refuted(otherwise: dict[str, int]) -> None:
    [compared] = claims.chosen(["C11"])
    assert compared.found(logins(**otherwise)).support is ClaimVerdict.REFUTED  # type: ignore[arg-type]  # a flag or a count


def test_without_a_copy_nothing_is_said() -> None:
    [stateful] = claims.chosen(["C17"])
    bare = {name: {"control": arm({"GET /me": named()})} for name in ("jwt", "opaque", "session")}
    assert stateful.found(run("login", bare)).support is ClaimVerdict.UNKNOWN


def scaled(lost: int, shrinks: bool = True) -> Runs:
    fault = FaultFigures("grow", "replicas", 1.0, 1.1, 1.1, {}, 0.0, 0.0)
    faults = (fault, *([replace(fault, kind="retire")] if shrinks else []))
    kept, some = arm({}, lost=0), arm({}, lost=lost)
    arms = {"stateless": kept, "drained": kept, "sticky": some}
    return run("autoscale", {name: {"fault": replace(one, faults=faults)} for name, one in arms.items()})


def test_sessions_lost_on_the_way_in_are_told_by_design() -> None:
    [claim] = claims.chosen(["C14"])
    found = claim.found(scaled(lost=7))
    assert found.support is ClaimVerdict.SUPPORTED
    assert "sticky lost 7 of" in found.says
    assert claim.found(scaled(lost=0)).support is ClaimVerdict.REFUTED
    assert claim.found(scaled(lost=7, shrinks=False)).support is ClaimVerdict.UNKNOWN


def deployed(cold: float = 700.0, kept: int = 0, **lost: int) -> Runs:
    """Functions whose calls take ``cold`` ms or 2 ms, and pets of which ``kept`` and ``lost`` tell the losses."""
    times = {"cold": cold, "warm": 2.0, "running": 1.0}
    calls = {
        name: replace(arm({}, lost=0), service_ms=replace(PLAIN.service_ms, p50=p50)) for name, p50 in times.items()
    }
    quiet = {name: replace(one, writes=replace(one.writes, lost=0)) for name, one in calls.items()}
    functions = run("serverless", {name: {"control": one} for name, one in quiet.items()})
    gone = {"lost": 30, "at_risk": 30, "lost_not_at_risk": 0, "at_risk_not_lost": 0, **lost}
    pets = {"volume_kept": {"fault": arm({}, lost=kept)}, "volume_lost": {"fault": arm({}, **gone)}}
    return Runs({**functions.summaries, **run("pet", pets).summaries})


def test_functions_start_cold_and_pets_live_by_their_volume() -> None:
    [claim] = claims.chosen(["C13"])
    found = claim.found(deployed())
    assert found.support is ClaimVerdict.SUPPORTED
    assert "over 700 ms where each had a process started for it" in found.says
    assert [point.label for point in found.points] == [
        "a function, a process a call", "a pet with its volume", "a pet without it",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "otherwise",
    [{"cold": 1.5}, {"kept": 1}, {"at_risk": 29, "lost_not_at_risk": 1}, {"lost": 0, "at_risk_not_lost": 30}],
)
def test_a_deployment_that_comes_out_otherwise_refutes_it(otherwise: dict[str, float]) -> None:
    [claim] = claims.chosen(["C13"])
    assert claim.found(deployed(**otherwise)).support is ClaimVerdict.REFUTED  # type: ignore[arg-type]  # times or counts


@pytest.mark.parametrize(("ports", "support"), [(6, ClaimVerdict.SUPPORTED), (2, ClaimVerdict.REFUTED)])
def test_the_simpler_infrastructure_has_fewer_parts(ports: int, support: ClaimVerdict) -> None:
    [claim] = claims.chosen(["C23"])

    def of(processes: int, listening: int) -> dict[str, ArmFigures]:
        used = replace(PLAIN.resources, processes=processes, ports=listening, config_lines=40)
        return {"control": replace(PLAIN, resources=used)}

    designs = {"stateless": of(4, 4), "sticky": of(4, 4), "hybrid": of(5, ports)}
    assert claim.found(run("node_kill", designs)).support is support


def test_without_a_count_of_the_parts_it_is_unknown() -> None:
    [claim] = claims.chosen(["C23"])
    bare = {"control": replace(PLAIN, resources=replace(PLAIN.resources, ports=None))}
    found = claim.found(run("node_kill", dict.fromkeys(("stateless", "sticky", "hybrid"), bare)))
    assert found.support is ClaimVerdict.UNKNOWN
