"""What the pages promise of verdicts has tests: each sentence here stands in its page, and its tests exist."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEASUREMENT = "unit/analysis/test_measurement.py"
IMPLIED = "unit/scenario/test_implied.py"
THRESHOLDS = "unit/scenario/test_thresholds.py"
EXPECTATIONS = "unit/scenario/test_expectations.py"
ANALYSIS = "unit/analysis/test_run_analysis.py"
TABLE = "unit/report/test_table.py"
MINIMAL = "unit/oracle/test_minimal_histories.py"
SEEDED = "e2e/test_seeded_services.py"

#: The page, the promise as it stands there, and the tests that hold it.
PROMISES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "README.md",
        "a run whose measurement cannot be trusted says `unknown`",
        (f"{MEASUREMENT}:test_an_arm_that_was_cut_off_or_did_not_run_is_unknown",),
    ),
    (
        "docs/reading.md",
        "A design that must lose sessions is *found* `lost` and *passes*",
        (
            f"{ANALYSIS}:test_finds_fails_when_the_positive_control_finds_nothing",
            f"{IMPLIED}:test_a_design_is_declared_broken_by_the_harm_that_it_must_show",
        ),
    ),
    (
        "docs/reading.md",
        "The output begins with a line per design, what hurts first",
        (f"{TABLE}:test_what_hurts_comes_first", f"{SEEDED}:test_a_service_that_answers_404_to_all_does_not_pass"),
    ),
    (
        "docs/reading.md",
        "A control arm with any anomaly, or in which more than 1 % of the requests fail, is a failure",
        (
            f"{ANALYSIS}:test_one_anomaly_makes_a_control_unclean",
            f"{IMPLIED}:test_a_loss_without_a_fault_fails_whatever_the_theory",
            f"{IMPLIED}:test_one_in_a_hundred_requests_may_fail_without_a_fault",
        ),
    ),
    (
        "docs/reading.md",
        "the lost set must be exactly that set, session by session",
        (f"{ANALYSIS}:test_loses_the_at_risk_compares_sets_not_numbers",),
    ),
    (
        "docs/reading.md",
        "Losses to an *empty replica that came back* are counted separately",
        ("unit/analysis/test_fold.py:test_a_second_loss_to_the_empty_replica_is_a_cause_of_its_own",),
    ),
    (
        "docs/reading.md",
        "A design may lose what its theory says, and without a theory nothing",
        (
            f"{IMPLIED}:test_a_design_without_a_theory_is_expected_to_keep_everything",
            f"{IMPLIED}:test_one_with_a_victim_loses_no_more_than_was_at_risk",
            f"{IMPLIED}:test_one_whose_theory_is_that_none_is_at_risk_keeps_everything",
        ),
    ),
    (
        "docs/reading.md",
        "Nothing judged, or more than 5 % of the sessions not judged, is `unknown`, with the reason",
        (
            f"{IMPLIED}:test_more_than_a_twentieth_not_judged_is_unknown_with_the_reasons",
            "unit/analysis/metrics/test_not_judged.py:test_a_reply_is_said_with_the_line_that_would_declare_it",
        ),
    ),
    (
        "docs/reading.md",
        "A zero comes with its sample size",
        (f"{ANALYSIS}:test_a_zero_is_shown_with_its_n_and_bound",),
    ),
    (
        "docs/reading.md",
        "the driver was saturated, a part died on its own, a fault left no evidence, or a control failed",
        (
            f"{MEASUREMENT}:test_a_driver_that_did_not_keep_up_or_was_not_sampled_is_unknown",
            f"{MEASUREMENT}:test_a_part_that_died_by_itself_is_unknown",
            f"{MEASUREMENT}:test_a_fault_without_evidence_is_unknown",
            f"{MEASUREMENT}:test_a_judge_that_errs_on_known_bugs_makes_every_verdict_unknown",
            f"{MEASUREMENT}:test_an_echo_that_did_not_run_in_every_round_is_unknown",
        ),
    ),
    (
        "README.md",
        "Fail outweighs unknown, unknown outweighs pass",
        (
            f"{ANALYSIS}:test_the_worst_verdict_wins_and_fail_outweighs_unknown",
            f"{MEASUREMENT}:test_the_worst_verdict_decides_the_exit_code",
        ),
    ),
    (
        "docs/scenarios.md",
        "unknown if any session could not be judged, or something is unexplained",
        (
            f"{ANALYSIS}:test_keeps_does_not_know_what_it_could_not_judge",
            f"{IMPLIED}:test_what_is_unexplained_is_not_kept",
        ),
    ),
    (
        "docs/scenarios.md",
        "anything may be lost under the fault: it is measured, and does not fail",
        (f"{IMPLIED}:test_losses_may_be_measured_without_being_a_failure",),
    ),
    (
        "docs/scenarios.md",
        "only sessions at risk are lost",
        (f"{EXPECTATIONS}:test_loses_only_the_at_risk",),
    ),
    (
        "docs/scenarios.md",
        "no session is lost, and no more acknowledged writes than come in so many seconds",
        (f"{EXPECTATIONS}:test_loses_at_most_so_many_seconds_of_writes",),
    ),
    (
        "docs/scenarios.md",
        "this share of all sessions moves to another replica",
        (f"{EXPECTATIONS}:test_moves_a_share",),
    ),
    (
        "docs/scenarios.md",
        "after every fault correct goodput is back at 95 % of before",
        (f"{EXPECTATIONS}:test_recovers_and_stays_down_are_each_others_opposite",),
    ),
    (
        "docs/scenarios.md",
        "at least so many times as many sessions begin per second as before",
        (f"{EXPECTATIONS}:test_surges",),
    ),
    (
        "docs/scenarios.md",
        "every saga ends shipped or completely undone, each effect once",
        (f"{EXPECTATIONS}:test_settles_and_leaves_half_done_are_each_others_opposite",),
    ),
    (
        "docs/scenarios.md",
        "Without names an expectation is about every design. A name that is no design of the scenario is refused.",
        (
            f"{IMPLIED}:test_an_expectation_without_names_is_about_every_design",
            f"{IMPLIED}:test_an_expectation_of_a_design_that_is_not_there_is_refused",
        ),
    ),
    (
        "docs/scenarios.md",
        "`harness report` judges it again by these and executes nothing that the run holds",
        (
            "unit/runner/test_pipeline.py:test_a_run_is_judged_again_by_the_expectations_that_it_keeps",
            "unit/runner/test_secrets.py:test_the_source_in_a_run_of_somebody_else_is_not_executed",
        ),
    ),
    (
        "docs/scenarios.md",
        "Each of these has a verdict of its own, and where one fails it names the line that says otherwise",
        (f"{IMPLIED}:test_the_line_that_a_failure_names_makes_it_pass",),
    ),
    (
        "docs/scenarios.md",
        "the design has an `errors_below` or `availability_above` of all its requests, or is declared broken",
        (f"{IMPLIED}:test_how_many_may_fail_is_the_scenarios_to_say",),
    ),
    (
        "docs/scenarios.md",
        "an expectation says what is lost: `keeps`, `loses_the_at_risk`, `loses_only_the_at_risk`, `loses_at_most`, "
        "`may_lose` or `finds`",
        (
            f"{IMPLIED}:test_what_is_stated_of_losses_is_not_implied_again",
            f"{IMPLIED}:test_what_is_stated_of_something_else_leaves_losses_a_failure",
        ),
    ),
    (
        "docs/scenarios.md",
        "No fault excuses a reply that shows another user's session (`leaked`), or content that was not requested",
        (f"{IMPLIED}:test_no_fault_excuses_the_session_of_another",),
    ),
    (
        "docs/scenarios.md",
        "so a design that has one must be clean without it, whatever is found under the fault",
        (f"{IMPLIED}:test_a_theory_says_what_a_fault_does_so_without_one_it_must_be_clean",),
    ),
    (
        "docs/scenarios.md",
        "What is proven (a leak, a loss) fails whatever else is unknown.",
        (
            f"{IMPLIED}:test_a_proven_loss_fails_though_nothing_else_was_judged",
            "unit/analysis/test_fold.py:test_what_is_proven_of_a_session_counts_though_it_was_not_judged_to_its_end",
        ),
    ),
    (
        "docs/scenarios.md",
        "such a run is `unknown` unless something else is expected of it",
        (
            f"{IMPLIED}:test_users_without_ledgers_are_judged_by_what_is_stated_alone",
            "cases/locust_catch_response/test_locust_catch_response.py:"
            "test_what_a_locustfile_marks_as_failed_is_a_failure",
        ),
    ),
    (
        "docs/scenarios.md",
        "without it, the threshold holds in every arm",
        (f"{THRESHOLDS}:test_a_threshold_holds_in_its_arm_phase_and_name",),
    ),
    (
        "docs/scenarios.md",
        "[DESIGN, ...:] METRIC[(NAME)] < VALUE [during PHASE]",
        (
            f"{THRESHOLDS}:test_a_text_states_a_threshold",
            f"{THRESHOLDS}:test_a_text_that_states_none_is_refused_with_the_reason",
        ),
    ),
    (
        "docs/scenarios.md",
        "A threshold is `unknown` where the driver was saturated or the design short of a core",
        (
            f"{THRESHOLDS}:test_behind_a_saturated_or_unwatched_driver_nothing_is_known",
            f"{THRESHOLDS}:test_in_front_of_a_design_that_was_short_of_a_core_nothing_is_known",
            f"{THRESHOLDS}:test_no_request_at_all_is_unknown",
            f"{THRESHOLDS}:test_a_lower_bound_can_break_a_threshold_and_cannot_keep_it",
        ),
    ),
    (
        "docs/results.md",
        "What is proven of a session counts, here and below, whether the session was judged to its end or not",
        ("unit/analysis/test_fold.py:test_what_is_proven_of_a_session_counts_though_it_was_not_judged_to_its_end",),
    ),
    (
        "docs/results.md",
        "A failed calibration turns every verdict `unknown`.",
        (f"{MEASUREMENT}:test_a_judge_that_errs_on_known_bugs_makes_every_verdict_unknown",),
    ),
    (
        "docs/judging.md",
        "what a reply lacked and a later one shows was stale, not lost and not rolled back",
        (
            f"{MINIMAL}:test_an_item_that_was_dropped_and_added_again_was_stale",
            f"{MINIMAL}:test_a_register_that_was_empty_and_shows_its_old_value_again_was_stale",
        ),
    ),
    (
        "docs/judging.md",
        "if the content is the same, nothing is lost",
        (f"{MINIMAL}:test_a_renewed_id_keeps_a_set_whose_items_were_added_long_ago",),
    ),
    (
        "docs/judging.md",
        "to another replica that lives, and that had not served this state before",
        ("unit/analysis/test_fold.py:test_a_replica_that_had_served_the_state_did_not_lose_it_by_a_move",),
    ),
    (
        "docs/judging.md",
        "that kind is as good as the truth",
        ("unit/benchmarks/test_accounts.py:test_what_looks_the_same_has_an_account_of_each_kind",),
    ),
    (
        "docs/your-service.md",
        "A copy that dies on its own under load makes the run unknown, exit code 3",
        ("e2e/test_whole_runs.py:test_a_part_that_dies_on_its_own_is_reported_and_makes_the_run_unknown",),
    ),
    (
        "docs/driver.md",
        "A worker is lost if its process ends or it sends nothing for 30 s. The others continue; the run is `unknown`",
        (f"{MEASUREMENT}:test_a_worker_that_was_lost_is_unknown",),
    ),
    (
        "docs/driver.md",
        "are missing or repeated, so an arm with such effects is unknown",
        (f"{MEASUREMENT}:test_effects_without_records_are_unknown",),
    ),
    (
        "docs/driver.md",
        "The check `targets_kept_up` is unknown",
        (f"{MEASUREMENT}:test_a_design_that_waited_for_cores_is_unknown",),
    ),
)


@cache
def text_of(page: str) -> str:
    """A page with its line breaks as spaces."""
    return " ".join((ROOT / page).read_text().split())


@cache
def list_tests(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize(("page", "promise"), [(page, promise) for page, promise, _ in PROMISES])
def test_a_promise_stands_in_its_page(page: str, promise: str) -> None:
    assert " ".join(promise.split()) in text_of(page)


def test_the_tests_that_hold_a_promise_exist() -> None:
    named = {test for _, _, tests in PROMISES for test in tests}
    missing = [test for test in named if test.rpartition(":")[2] not in list_tests(test.rpartition(":")[0])]
    assert missing == []
