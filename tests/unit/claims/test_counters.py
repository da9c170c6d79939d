"""The counter-experiments: what each claim's runs say against it, and what that does to the verdict."""

import re
from dataclasses import replace

import pytest

from harness import claims
from harness.claims import ClaimFinding, ClaimPoint, ClaimVerdict, Runs, UnsettledError
from harness.claims.attempt import list_required_runs
from harness.claims.claim import Claim, CounterExperiment, CounterFinding
from harness.claims.counters import COUNTERS
from harness.claims.report import ClaimResult
from harness.results.summary import ArmFigures, EndpointStats, Summary
from harness.scenario.loading import load
from tests.support import charts as fakes
from tests.support.harness_command import ROOT

SUMMARY = fakes.summary()
ARM = SUMMARY.designs["sticky"].arms["control"]
SUPPORTED = ClaimFinding(ClaimVerdict.SUPPORTED, "so it is", "%", (ClaimPoint("x", 1.0),))


def run_of(**designs: ArmFigures) -> Summary:
    """A run in which each of these designs has the same figures in both arms."""
    whole = {
        name: replace(SUMMARY.designs["sticky"], arms={"control": arm, "fault": arm}) for name, arm in designs.items()
    }
    return replace(SUMMARY, designs=whole, controls=replace(SUMMARY.controls, calibration=None))


def losing(sessions: int = 0, writes: int = 0, **counts: int) -> ArmFigures:
    """An arm of 200 sessions that lost so many of them, and so many of 1,000 writes."""
    figures = replace(ARM.sessions, started=200, judged=200, lost=sessions, **counts)  # type: ignore[arg-type]
    return replace(ARM, sessions=figures, writes=replace(ARM.writes, acknowledged=1000, lost=writes))


def costing(cpu_ms: float, processes: int = 4) -> ArmFigures:
    return replace(ARM, resources=replace(ARM.resources, cpu_ms_per_request=cpu_ms, processes=processes))


def failing(failed: int) -> ArmFigures:
    counts = replace(ARM.requests, attempted=100 + failed, ok=100, failed=failed, in_doubt=0)
    return replace(ARM, requests=counts)


def evaluate(claim: str, **runs: Summary) -> CounterFinding:
    return COUNTERS[claim].evaluate(Runs(runs))


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: str(claim.id))
def test_the_scenarios_have_every_arm_that_is_judged(claim: Claim) -> None:
    planned = Runs({required.name: plan(required.name) for required in claim.all_runs})
    assert not re.search(r"has no (\w+ arm|design)", COUNTERS[claim.id].evaluate(planned).says)
    assert not re.search(r"has no (\w+ arm|design)", claim.evaluate(planned).says)


def plan(scenario: str) -> Summary:
    """A run of a scenario whose arms have all the same figures."""
    arms: dict[str, dict[str, ArmFigures]] = {}
    for arm in load(ROOT / "scenarios" / f"{scenario}.py").scenario.arms():
        arms.setdefault(arm.design.name, {})[arm.name] = ARM
    whole = {name: replace(SUMMARY.designs["sticky"], arms=figures) for name, figures in arms.items()}
    return replace(SUMMARY, designs=whole, controls=replace(SUMMARY.controls, calibration=None))


def test_a_counter_experiment_that_bites_limits_what_is_supported() -> None:
    finding = SUPPORTED.limit(CounterFinding(True, "not always"))
    assert finding.verdict is ClaimVerdict.LIMITED and finding.counter.says == "not always"
    for counter in (CounterFinding(False, "always"), CounterFinding(None, "not run")):
        assert SUPPORTED.limit(counter).verdict is ClaimVerdict.SUPPORTED


@pytest.mark.parametrize("verdict", [ClaimVerdict.REFUTED, ClaimVerdict.UNKNOWN])
def test_it_does_not_soften_another_verdict(verdict: ClaimVerdict) -> None:
    assert replace(SUPPORTED, verdict=verdict).limit(CounterFinding(True, "not always")).verdict is verdict


def test_every_claim_has_one_with_a_question_and_runs_that_are_made() -> None:
    assert set(COUNTERS) == {claim.id for claim in claims.CLAIMS}
    for claim in claims.CLAIMS:
        assert claim.counter is not None and claim.counter.question.endswith("?")
        assert set(claim.counter.required_runs) <= set(claim.all_runs)
    assert {"limits", "store_kill"} <= {required.name for required in list_required_runs(claims.CLAIMS)}


@pytest.mark.parametrize("claim", sorted(COUNTERS))
def test_without_its_runs_it_is_unknown_with_the_reason(claim: str) -> None:
    finding = COUNTERS[claim].evaluate(Runs())
    assert finding.bites is None
    assert "was not measured: it was not run" in finding.says


@pytest.mark.parametrize("problem", [UnsettledError("too short"), KeyError("GET /cart"), ZeroDivisionError()])
def test_figures_that_do_not_fit_leave_it_unknown(problem: Exception) -> None:
    def judge(runs: Runs) -> CounterFinding:
        raise problem

    finding = CounterExperiment("really?", (), judge).evaluate(Runs())
    assert finding.bites is None and finding.says


def test_round_robin_over_memory_is_right_with_one_replica() -> None:
    pinning = run_of(cookie=losing(90))
    finding = evaluate("C12", limits=run_of(alone=losing(0)), pinning=pinning)
    assert finding.bites is True
    assert "one replica: 0 of 200 sessions lost" in finding.says and "90 of 200" in finding.says
    assert evaluate("C12", limits=run_of(alone=losing(1)), pinning=pinning).bites is False


def test_split_keys_and_clocks_that_differ_bite_any_instance() -> None:
    node_kill = run_of(split_keys=losing(forced_login=200))
    limits = run_of(skewed=losing(47, forced_login=2), in_step=losing(0))
    finding = evaluate("C01", node_kill=node_kill, limits=limits)
    assert finding.bites is True
    assert "200 of 200 sessions were sent to the login" in finding.says and "49 of 200 lost their state" in finding.says
    well = run_of(split_keys=losing())
    assert evaluate("C01", node_kill=well, limits=run_of(skewed=losing(), in_step=losing())).bites is False


def test_sticky_beats_redis_when_the_store_dies_or_where_cpu_counts() -> None:
    cheap = run_of(sticky=costing(0.31), hybrid=costing(0.50))
    dead = run_of(hybrid=losing(120))  # a design without a store has no arm in which one is killed
    finding = evaluate("C20", node_kill=cheap, store_kill=dead)
    assert finding.bites is True
    assert (
        "120 of 200 sessions lost when Redis did" in finding.says
        and "0.31 ms of CPU per request, Redis 0.50" in finding.says
    )
    dear = run_of(sticky=costing(0.51), hybrid=costing(0.50))
    assert evaluate("C20", node_kill=dear, store_kill=run_of(hybrid=losing())).bites is False


def test_a_token_over_4_kb_and_a_copy_of_a_revoked_one_bite() -> None:
    copy = EndpointStats(10, 4, 0, {"200": 4, "401": 6}, 1.0, 2.0, 100.0, 100.0)
    login = run_of(jwt=replace(losing(), names={"copy after 0 s": copy}))
    payload = run_of(jwt=losing(writes=51), jwt_nginx=failing(7))
    both = evaluate("C22", payload=payload, login=login)
    assert both.bites is True and "51 of 1,000 writes" in both.says and "4 copies of a revoked one" in both.says
    sound = run_of(jwt=losing(), jwt_nginx=failing(0))
    assert evaluate("C22", payload=sound, login=run_of(jwt=losing())).bites is False
    large = evaluate("C02", payload=payload)
    assert large.bites is True and "7 of 107 requests" in large.says
    assert evaluate("C02", payload=sound).bites is False


@pytest.mark.parametrize(
    ("claim", "run", "designs", "bad"),
    [
        ("C04", "scale_out", ("cookie",), losing(3, moved=3)),
        ("C07", "store_failover", ("postgres",), losing(writes=1)),
        ("C10", "two_devices", ("memory",), losing(writes=1)),
        ("C14", "autoscale", ("drained",), losing(1)),
        ("C17", "login", ("jwt",), losing(forced_login=1)),
        ("C18", "game", ("redis",), losing(1)),
    ],
)
def test_these_bite_where_the_other_design_loses_nothing(
    claim: str, run: str, designs: tuple[str, ...], bad: ArmFigures
) -> None:
    for arm, bites in ((losing(moved=0), True), (bad, False)):
        assert evaluate(claim, **{run: run_of(**dict.fromkeys(designs, arm))}).bites is bites


@pytest.mark.parametrize(
    ("claim", "run", "designs", "bad", "good"),
    [
        ("C05", "node_kill", ("stateless", "hybrid"), failing(3), failing(0)),
        ("C08", "checkpoint", ("often", "seldom", "large"), losing(writes=9), losing()),
        ("C15", "mesh", ("mesh_memory",), losing(9, lost_not_at_risk=9), losing(lost_not_at_risk=0)),
        ("C16", "content", ("content",), failing(2), failing(0)),
    ],
)
def test_these_bite_where_the_claimed_design_loses_something(
    claim: str, run: str, designs: tuple[str, ...], bad: ArmFigures, good: ArmFigures
) -> None:
    for arm, bites in ((bad, True), (good, False)):
        assert evaluate(claim, **{run: run_of(**dict.fromkeys(designs, arm))}).bites is bites


def test_a_stateful_design_of_as_few_processes_bites() -> None:
    for processes, bites in ((4, True), (5, False)):
        run = run_of(stateless=costing(0.3, 4), sticky=costing(0.3, processes))
        assert evaluate("C23", node_kill=run).bites is bites


def test_a_warm_function_nearly_as_fast_as_a_running_process_bites() -> None:
    def taking(ms: float) -> ArmFigures:
        return replace(ARM, service_ms=replace(ARM.service_ms, p50=ms))

    for warm, bites in ((1.5, True), (2.5, False)):
        assert evaluate("C13", serverless=run_of(warm=taking(warm), running=taking(1.0))).bites is bites


def test_affinity_as_even_as_round_robin_bites() -> None:
    for cv, bites in ((0.01, True), (0.1, False)):
        arm = replace(ARM, spread=replace(ARM.spread, cv=cv))
        assert evaluate("C09", pinning=run_of(cookie=arm)).bites is bites


def test_a_counter_experiment_is_kept_and_read_back() -> None:
    claim = claims.select(["C20"])[0]
    unsampled = replace(ARM, resources=replace(ARM.resources, cpu_ms_per_request=None))
    runs = Runs({"node_kill": run_of(sticky=unsampled, hybrid=losing(0)), "store_kill": run_of(hybrid=losing(9))})
    result = ClaimResult.from_runs(claim, runs)
    assert result.finding.counter.bites is None, "a figure of the counter-experiment is missing"
    again = ClaimResult.from_dict(result.to_dict())
    assert again == result
