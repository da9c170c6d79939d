from dataclasses import replace

from harness.report.setting import Setting, describe_place
from harness.results.plan import RunPlan
from tests.support import charts as fakes
from tests.support.recorded_run import plan


def made(**more: object) -> RunPlan:
    return replace(plan(), **more)  # type: ignore[arg-type]


def test_the_first_sentence_says_what_was_done() -> None:
    run = fakes.summary([replace(fake, describe={"replicas": 3}) for fake in fakes.TRIO])
    setting = Setting("2026-11-29T13:59:11+00:00", "200 users for 20 s", {"sticky": "haproxy 2.8.5"})
    assert setting.describe(run) == (
        "3 designs of 3 replicas behind haproxy 2.8.5, with and without a kill of r1 at 8 s (undone at 14 s); "
        "200 users for 20 s; 29 November 2026, 13:59 UTC."
    )


def test_what_is_not_known_is_left_out() -> None:
    assert Setting().describe(fakes.summary(arms=("control",))) == "3 designs, without a fault."
    assert Setting("yesterday").describe(fakes.summary(arms=("fault",))).startswith("3 designs, with a kill of r1")


def test_the_load_is_that_of_the_plan() -> None:
    load = {**plan().load, "duration_s": 20.0}
    assert Setting.of(made(load={**load, "concurrent": 200})).load == "200 users for 20 s"
    assert Setting.of(made(load={**load, "rate": 50})).load == "50 requests/s for 20 s"
    inside = Setting.of(made(load={**load, "rate": 50}, flags={"load_inside": 2}))
    assert inside.load == "50 requests/s for 20 s from 2 pods of the cluster"


def test_designs_in_which_something_must_be_found_are_controls() -> None:
    expect = [{"expect": "finds", "designs": ["broken"]}, {"expect": "keeps", "designs": ["hybrid"]}]
    assert made(expect=expect).must_fail == {"broken"}
    assert made(expect=None).must_fail == frozenset()


def test_a_design_says_where_its_state_lives_and_how_it_is_balanced() -> None:
    def place(**facts: str) -> str:
        return describe_place(replace(fakes.summary().designs["sticky"], describe=facts))

    assert place(state="memory", policy="cookie") == "state in the memory of each replica; sticky by cookie"
    assert place(state="redis", policy="least_time") == "state in redis; least time"
    assert place(target="command", store="postgres", policy="round_robin") == "your command with postgres; round robin"
