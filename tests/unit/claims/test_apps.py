"""The claims about payloads and logins, on synthetic runs."""

from dataclasses import replace

import pytest

from harness import claims
from harness.claims import ClaimVerdict, Runs
from harness.oracle.outcome import SessionOutcome
from harness.results.summary import ArmFigures, DesignSummary, EndpointStats, FaultFigures, Summary
from tests.support import charts as fakes

SUMMARY = fakes.summary()
ARM = next(iter(SUMMARY.designs.values())).arms["control"]


def stats(size: float = 100.0, anomalies: int = 0, **statuses: int) -> EndpointStats:
    counts = {name.removeprefix("s"): count for name, count in statuses.items()} or {"200": 10}
    total = sum(counts.values())
    return EndpointStats(total, counts.get("200", 0), anomalies, counts, 1.0, 2.0, size, size)


def arm(names: dict[str, EndpointStats], **sessions: int) -> ArmFigures:
    return replace(ARM, names=names, sessions=replace(ARM.sessions, **sessions))  # type: ignore[arg-type]  # counts alone


def run(scenario: str, designs: dict[str, dict[str, ArmFigures]]) -> Runs:
    summaries = {name: DesignSummary({}, arms, SessionOutcome.KEPT) for name, arms in designs.items()}
    controls = replace(SUMMARY.controls, calibration=None)
    return Runs({scenario: Summary(scenario, "now", summaries, controls)})


def looks(sizes: dict[int, float], bad: int | None = None) -> dict[str, EndpointStats]:
    return {f"look at {n}": stats(size, anomalies=5 * (n == bad)) for n, size in sizes.items()}


def payload(cookie_at_100: float) -> Runs:
    jwt = arm(looks({1: 400, 10: 700, 50: 1900, 100: 3300, 130: 4200}, bad=130))
    signed = arm(looks({1: 300, 100: 1400}))
    cookie = arm(looks({1: 160, 100: cookie_at_100}))
    designs = {"jwt": jwt, "signed": signed, "cookie": cookie, "jwt_nginx": jwt}
    return run("payload", {name: {"control": figures} for name, figures in designs.items()})


def test_a_token_that_grows_beside_a_cookie_that_does_not_supports_the_claim() -> None:
    [claim] = claims.select(["C02"])
    finding = claim.evaluate(payload(cookie_at_100=160))
    assert finding.verdict is ClaimVerdict.SUPPORTED
    assert "At 130 items the JWT exceeded 4096 bytes" in finding.says
    assert claim.evaluate(payload(cookie_at_100=3000)).verdict is ClaimVerdict.REFUTED


def test_the_clients_own_hits_are_counted_from_the_names() -> None:
    [claim] = claims.select(["C16"])
    lookups = {"asked after 0 hits": stats(s200=30, s304=10), "asked after 3 hits": stats(s200=20)}
    good = arm(lookups, wrong=0, moved=40)
    finding = claim.evaluate(run("content", {"content": {"control": good, "fault": good}}))
    assert finding.verdict is ClaimVerdict.SUPPORTED
    assert [round(point.value, 1) for point in finding.points] == [50.0, 8.3, 41.7]
    bad = replace(good, sessions=replace(good.sessions, wrong=1))
    finding = claim.evaluate(run("content", {"content": {"control": good, "fault": bad}}))
    assert finding.verdict is ClaimVerdict.REFUTED


def logins(jwt_lives: bool = True, overlap: int = 0, abrupt: int = 20) -> Runs:
    me = {"GET /me": stats()}
    revoked = arm({**me, "copy after 0 s": stats(s401=30)})
    lives = {
        "copy after 0 s": stats(s200=50),
        "copy after 1.5 s": stats(s200=9, s401=4),
        "copy after 1.75 s": stats(s401=9),
    }
    jwt = arm({**me, **(lives if jwt_lives else {"copy after 0 s": stats(s401=30)})})
    designs = {
        "jwt": {"control": jwt, "fault": arm(me, forced_login=overlap)},
        "jwt_abrupt": {"fault": arm(me, forced_login=abrupt)},
        "opaque": {"control": revoked},
        "session": {"control": revoked},
    }
    return run("login", designs)


def test_a_jwt_that_outlives_its_logout_comes_with_how_long() -> None:
    compared, stateful = claims.select(["C11", "C17"])
    finding = compared.evaluate(logins())
    assert finding.verdict is ClaimVerdict.LIMITED
    assert {point.label: point.value for point in finding.points} == {"jwt": 1.5, "opaque": 0, "session": 0}
    shares = stateful.evaluate(logins())
    assert shares.verdict is ClaimVerdict.LIMITED
    assert {point.label: point.value for point in shares.points} == {"jwt": 0, "opaque": 100, "session": 100}


@pytest.mark.parametrize("otherwise", [{"jwt_lives": False}, {"overlap": 3}, {"abrupt": 0}])
def test_another_result_refutes_the_claim(otherwise: dict[str, int]) -> None:
    [compared] = claims.select(["C11"])
    assert compared.evaluate(logins(**otherwise)).verdict is ClaimVerdict.REFUTED  # type: ignore[arg-type]  # a flag or a count


def test_without_a_copy_of_a_login_the_claim_is_unknown() -> None:
    [stateful] = claims.select(["C17"])
    bare = {name: {"control": arm({"GET /me": stats()})} for name in ("jwt", "opaque", "session")}
    assert stateful.evaluate(run("login", bare)).verdict is ClaimVerdict.UNKNOWN


def scaled(lost: int, shrinks: bool = True) -> Runs:
    fault = FaultFigures("grow", "replicas", 1.0, 1.1, 1.1, {}, 0.0, 0.0)
    faults = (fault, *([replace(fault, kind="retire")] if shrinks else []))
    kept, some = arm({}, lost=0), arm({}, lost=lost)
    arms = {"stateless": kept, "drained": kept, "sticky": some}
    return run("autoscale", {name: {"fault": replace(figures, faults=faults)} for name, figures in arms.items()})


def test_sessions_lost_by_scaling_in_are_listed_by_design() -> None:
    [claim] = claims.select(["C14"])
    finding = claim.evaluate(scaled(lost=7))
    assert finding.verdict is ClaimVerdict.LIMITED
    assert "sticky lost 7 of" in finding.says
    assert claim.evaluate(scaled(lost=0)).verdict is ClaimVerdict.REFUTED
    assert claim.evaluate(scaled(lost=7, shrinks=False)).verdict is ClaimVerdict.UNKNOWN


def deployed(cold: float = 700.0, kept: int = 0, **lost: int) -> Runs:
    """Functions whose calls take ``cold`` ms or 2 ms, and pets that lose the sessions of ``kept`` and ``lost``."""
    times = {"cold": cold, "warm": 2.0, "running": 1.0}
    calls = {name: replace(arm({}, lost=0), service_ms=replace(ARM.service_ms, p50=p50)) for name, p50 in times.items()}
    quiet = {name: replace(figures, writes=replace(figures.writes, lost=0)) for name, figures in calls.items()}
    functions = run("serverless", {name: {"control": figures} for name, figures in quiet.items()})
    losses = {"lost": 30, "at_risk": 30, "lost_not_at_risk": 0, "at_risk_not_lost": 0, **lost}
    pets = {"volume_kept": {"fault": arm({}, lost=kept)}, "volume_lost": {"fault": arm({}, **losses)}}
    return Runs({**functions.summaries, **run("pet", pets).summaries})


def test_slow_cold_starts_and_pets_that_keep_sessions_on_their_volume_support_the_claim() -> None:
    [claim] = claims.select(["C13"])
    finding = claim.evaluate(deployed())
    assert finding.verdict is ClaimVerdict.SUPPORTED
    assert "over 700 ms when a process was started for each" in finding.says
    assert [point.label for point in finding.points] == [
        "functions, one process per call", "a pet with its volume", "a pet without it",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "otherwise",
    [{"cold": 1.5}, {"kept": 1}, {"at_risk": 29, "lost_not_at_risk": 1}, {"lost": 0, "at_risk_not_lost": 30}],
)
def test_another_result_of_a_deployment_refutes_the_claim(otherwise: dict[str, float]) -> None:
    [claim] = claims.select(["C13"])
    assert claim.evaluate(deployed(**otherwise)).verdict is ClaimVerdict.REFUTED  # type: ignore[arg-type]  # times or counts


@pytest.mark.parametrize(("ports", "support"), [(6, ClaimVerdict.LIMITED), (2, ClaimVerdict.REFUTED)])
def test_the_simpler_infrastructure_must_have_fewer_parts(ports: int, support: ClaimVerdict) -> None:
    [claim] = claims.select(["C23"])

    def control(processes: int, listening: int) -> dict[str, ArmFigures]:
        used = replace(ARM.resources, processes=processes, ports=listening, config_lines=40)
        return {"control": replace(ARM, resources=used)}

    designs = {"stateless": control(4, 4), "sticky": control(4, 4), "hybrid": control(5, ports)}
    assert claim.evaluate(run("node_kill", designs)).verdict is support


def test_without_a_count_of_the_parts_it_is_unknown() -> None:
    [claim] = claims.select(["C23"])
    bare = {"control": replace(ARM, resources=replace(ARM.resources, ports=None))}
    finding = claim.evaluate(run("node_kill", dict.fromkeys(("stateless", "sticky", "hybrid"), bare)))
    assert finding.verdict is ClaimVerdict.UNKNOWN
