"""A scenario checks itself when made, and when it is read from its file."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import ClassVar

import pytest

from harness.common.errors import UsageError
from harness.scenario.balancing import POLICIES, Balancing, Health
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.loading import load
from harness.scenario.overrides import Overrides
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Load, Requests, Sessions

LOAD = Sessions(concurrent=10, duration="20s", warmup="2s")


@dataclass(frozen=True)
class Break(Fault):
    """A fault of the test's own: applies to replicas that exist."""

    replica: int = 1
    kind: ClassVar[str] = "break"

    @property
    def target(self) -> str:
        return f"r{self.replica}"

    def check(self, replicas: int) -> None:
        if self.replica >= replicas:
            raise UsageError(f"there is no r{self.replica} among {replicas}")


@dataclass(frozen=True)
class Repair(Fault):
    """Ends a Break."""

    replica: int = 1
    kind: ClassVar[str] = "repair"
    ends: ClassVar[str] = "break"

    @property
    def target(self) -> str:
        return f"r{self.replica}"


@dataclass(frozen=True)
class Names:
    """An expectation that only knows which designs it speaks of."""

    names: tuple[str, ...]

    def judge(self, summary: object) -> tuple[()]:
        return ()

    def only(self, names: object) -> "Names | None":
        left = tuple(name for name in self.names if name in list(names))  # type: ignore[call-overload]  # a Sequence, by the protocol
        return Names(left) if left else None


def scenario(*names: str, faults: tuple[At, ...] = (), replicas: int = 3, load: Load = LOAD) -> Scenario:
    return Scenario(designs=[Design(name) for name in names], load=load, replicas=replicas, faults=faults)


def refused(make: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as problem:
        make()
    return problem.value


WRONG: list[tuple[str, Callable[[], object], str]] = [
    ("no_design", scenario, "at least one design"),
    ("same_name_twice", lambda: scenario("a", "a"), "same name"),
    ("no_replicas", lambda: scenario("a", replicas=0), "replicas must be at least 1"),
    ("negative_replicas", lambda: Design("a", replicas=-1), "replicas must be at least 1"),
    ("name_of_two_words", lambda: Design("a b"), "one word"),
    ("name_that_is_a_path", lambda: Design("../a"), "one word"),
    ("no_slots", lambda: Design("a", BuiltIn(slots=0)), "slots must be at least 1"),
    ("service_time_no_duration", lambda: Design("a", BuiltIn(service_time="20")), "not a duration"),
    ("unknown_theory", lambda: Design("a", at_risk="all"), "at_risk"),
    ("unknown_policy", lambda: Balancing("random"), "unknown balancing policy 'random'"),
    ("unknown_app", lambda: Design("a", BuiltIn("nowhere")), "there is no app 'nowhere'"),
    ("unknown_state", lambda: Design("a", BuiltIn(state="nowhere")), "there is no state 'nowhere'"),
    ("negative_retries", lambda: Balancing(retries=-1), "retries"),
    ("too_many_retries", lambda: Balancing(retries=11), "retries"),
    ("health_without_interval", lambda: Health(interval="0s"), "interval above 0"),
    ("health_without_fall", lambda: Health(fall=0), "at least 1"),
    ("health_without_rise", lambda: Health(rise=0), "at least 1"),
    ("neither_users_nor_rate", Sessions, "either concurrent= or rate="),
    ("users_and_rate", lambda: Sessions(concurrent=1, rate=1.0), "either concurrent= or rate="),
    ("no_users", lambda: Sessions(concurrent=0), "at least 1"),
    ("no_session_rate", lambda: Sessions(rate=0.0), "a rate must be above 0"),
    ("negative_request_rate", lambda: Requests(rate=-5.0), "a rate must be above 0"),
    ("no_sessions", lambda: Requests(rate=5.0, sessions=0), "at least 1"),
    ("warmup_as_long_as_the_run", lambda: Sessions(concurrent=1, duration="2s", warmup="2s"), "inside the duration"),
    ("duration_without_unit", lambda: Sessions(concurrent=1, duration="20"), "'20' is not a duration"),
    ("unknown_arrivals", lambda: Requests(rate=5.0, arrivals="bursty"), "poisson or constant"),
    ("fault_in_the_warmup", lambda: scenario("a", faults=(At("1s", Break()),)), "outside the measured time"),
    ("fault_at_the_end", lambda: scenario("a", faults=(At("20s", Break()),)), "outside the measured time"),
    ("fault_after_the_end", lambda: scenario("a", faults=(At("1m", Break()),)), "outside the measured time"),
    ("fault_at_no_time", lambda: scenario("a", faults=(At("soon", Break()),)), "'soon' is not a duration"),
    ("broken_twice", lambda: scenario("a", faults=(At("8s", Break()), At("9s", Break()))), "broken twice"),
    ("repaired_first", lambda: scenario("a", faults=(At("8s", Repair()), At("9s", Break()))), "no break before it"),
    (
        "repaired_elsewhere",
        lambda: scenario("a", faults=(At("8s", Break()), At("9s", Repair(2)))),
        "no break before it",
    ),
    ("no_repeat", lambda: Overrides(repeat=0), "repeat must be at least 1"),
    ("no_users_by_flag", lambda: Overrides(users=0), "users must be at least 1"),
    ("no_rate_by_flag", lambda: Overrides(rate=0.0), "a rate must be above 0"),
    ("fault_of_no_design", lambda: scenario("a", faults=(At("8s", Break(), only=("b",)),)), "'b', which is no design"),
    ("fault_on_no_replica", lambda: scenario("a", faults=(At("8s", Break(3)),)), "no r3 among 3"),
]


@pytest.mark.parametrize(("make", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_cannot_be_run_is_refused_when_it_is_created(make: Callable[[], object], says: str) -> None:
    assert says in refused(make).message


def test_the_bounds_themselves_are_allowed() -> None:
    edge = scenario("a", replicas=2, faults=(At("2s", Break()), At("19999ms", Break(replica=0))))
    assert [at.seconds for at in edge.faults] == [2.0, 19.999]
    assert Balancing(retries=0).retries == 0
    assert Balancing(retries=10).retries == 10


@pytest.mark.parametrize("policy", POLICIES)
def test_affinity_is_what_all_but_the_spreading_policies_give(policy: str) -> None:
    assert Balancing(policy).affinity == (policy not in ("round_robin", "least_connections"))


def test_a_design_takes_the_scenarios_size_unless_it_has_its_own() -> None:
    sized = Scenario([Design("a"), Design("b", replicas=5)], LOAD, replicas=2)
    assert [design.replicas for design in sized.designs] == [2, 5]


def test_a_fault_is_checked_against_every_designs_own_size() -> None:
    make = lambda: Scenario([Design("a"), Design("b", replicas=1)], LOAD, replicas=3, faults=[At("8s", Break(1))])  # noqa: E731
    assert "no r1 among 1" in refused(make).message


def test_faults_are_played_in_the_order_of_their_times() -> None:
    late, early = At("14s", Break(2)), At("8s", Break(1))
    assert scenario("a", faults=(late, early)).faults == (early, late)


def test_a_fault_may_be_for_some_designs_alone() -> None:
    first, second = At("8s", Break(), only=("a",)), At("8s", Break(), only=("b", "c"))
    made = scenario("a", "b", "c", "d", faults=(first, second))
    assert {(arm.design.name, arm.faults) for arm in made.arms() if arm.name == "fault"} == {
        ("a", (first,)),
        ("b", (second,)),
        ("c", (second,)),
    }
    assert made.only(["b"]).faults == (At("8s", Break(), only=("b",)),)
    assert made.only(["d"]).faults == ()


def test_every_design_runs_with_and_without_faults_and_the_order_alternates() -> None:
    faults = (At("8s", Break()),)
    arms = [(arm.design.name, arm.name, arm.faults) for arm in scenario("a", "b", "c", faults=faults).arms()]
    assert arms == [
        ("a", "control", ()),
        ("a", "fault", faults),
        ("b", "fault", faults),
        ("b", "control", ()),
        ("c", "control", ()),
        ("c", "fault", faults),
    ]


def test_without_faults_there_are_controls_alone() -> None:
    assert [(arm.design.name, arm.name) for arm in scenario("a", "b").arms()] == [("a", "control"), ("b", "control")]


def test_what_is_repeated_has_an_a_a_arm_at_the_other_end_of_its_round_than_its_twin() -> None:
    rounds = [(arm.design.name, arm.name, number) for arm, number in scenario("a", "b").rounds(2)]
    first = [("a", "control", 1), ("b", "control", 1), ("a", "aa", 1)]
    assert rounds == [*first, ("a", "aa", 2), ("b", "control", 2), ("a", "control", 2)]


def test_an_a_a_arm_has_no_faults_and_what_runs_once_has_none() -> None:
    broken = scenario("a", faults=(At("8s", Break()),))
    assert [arm.faults for arm, _ in broken.rounds(2) if arm.name == "aa"] == [(), ()]
    assert all(arm.name != "aa" for arm, _ in broken.rounds(1))


def test_only_keeps_the_named_designs_in_the_scenarios_order() -> None:
    assert [design.name for design in scenario("a", "b", "c").only(["c", "a"]).designs] == ["a", "c"]


def test_only_keeps_the_expectations_that_concern_them() -> None:
    whole = replace(scenario("a", "b"), expect=(Names(("a", "b")), Names(("b",))))
    assert whole.only(["a"]).expect == (Names(("a",)),)


def test_only_names_what_there_is_when_a_name_is_unknown() -> None:
    problem = refused(lambda: scenario("a", "b").only(["c"]))
    assert "no design 'c'" in problem.message
    assert "a, b" in problem.hint


def test_only_without_names_is_refused() -> None:
    assert "at least one design" in refused(lambda: scenario("a").only([])).message


def test_loads_know_their_kind() -> None:
    assert [Sessions(concurrent=1).kind, Sessions(rate=1.0).kind, Requests(rate=1.0).kind] == [
        "closed",
        "partly_open",
        "open",
    ]


def test_what_was_repaired_may_break_again() -> None:
    again = (At("8s", Break()), At("9s", Repair()), At("10s", Break()), At("11s", Break(2)))
    assert scenario("a", faults=again).faults == again


def test_repeats_run_forwards_and_backwards_in_turn() -> None:
    rounds = [(arm.design.name, arm.name, number) for arm, number in scenario("a", "b").rounds(2)]
    first = [("a", "control", 1), ("b", "control", 1), ("a", "aa", 1)]
    assert rounds == [*first, *((design, arm, 2) for design, arm, _ in reversed(first))]


def test_without_flags_a_scenario_runs_as_it_stands() -> None:
    whole = scenario("a", "b", faults=(At("8s", Break()),))
    assert Overrides().apply(whole) == whole


def test_flags_change_what_they_name_and_nothing_else() -> None:
    changed = Overrides(("b",), replicas=5, balancer="nginx", duration="30s", seed=9).apply(scenario("a", "b"))
    (design,) = changed.designs
    assert (design.name, design.replicas, design.balancing.name) == ("b", 5, "nginx")
    assert (changed.load, changed.seed) == (replace(LOAD, duration="30s"), 9)


def test_a_smaller_topology_is_checked_against_the_faults_again() -> None:
    whole = scenario("a", faults=(At("8s", Break(2)),))
    assert "no r2 among 2" in refused(lambda: Overrides(replicas=2).apply(whole)).message


def test_a_shorter_run_is_checked_against_the_faults_again() -> None:
    whole = scenario("a", faults=(At("8s", Break()),))
    assert "outside the measured time" in refused(lambda: Overrides(duration="5s").apply(whole)).message


PARTLY, OPEN = Sessions(rate=5.0), Requests(rate=50.0, sessions=20)


@pytest.mark.parametrize(
    ("load", "flags", "becomes"),
    [
        (LOAD, Overrides(users=7), replace(LOAD, concurrent=7)),
        (LOAD, Overrides(rate=90.0), Requests(90.0, sessions=10, duration="20s", warmup="2s")),
        (PARTLY, Overrides(users=7), Sessions(concurrent=7)),
        (OPEN, Overrides(users=7), replace(OPEN, sessions=7)),
        (OPEN, Overrides(rate=90.0), replace(OPEN, rate=90.0)),
    ],
)
def test_users_and_rate_choose_the_load(load: Load, flags: Overrides, becomes: Load) -> None:
    assert flags.apply(scenario("a", load=load)).load == becomes


def test_quick_takes_the_short_form_where_there_is_one() -> None:
    short = scenario("a", load=replace(LOAD, duration="4s"))
    whole = replace(scenario("a"), quick=short)
    assert Overrides(quick=True).apply(whole).load.duration == "4s"
    assert Overrides().apply(whole).load.duration == "20s"
    assert Overrides(quick=True).apply(short).load.duration == "4s", "what is short already stays as it is"


def test_a_design_describes_itself_in_plain_values() -> None:
    described = Design(
        "a", BuiltIn(options={"keys": "split"}, service_time="20ms"), at_risk="victim", replicas=3
    ).describe()
    assert described["option_keys"] == "split"
    assert (described["service_time_s"], described["replicas"], described["at_risk"]) == (0.02, 3, "victim")
    assert {type(value) for value in described.values()} <= {str, int, float, bool}


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(dedent(text))
    return path


GOOD = """
    from harness import Design, Scenario, Sessions

    SCENARIO = Scenario([Design("a")], Sessions(concurrent=1))
"""


def test_a_file_is_read_with_its_name_and_hash(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD)
    loaded = load(path)
    assert (loaded.name, loaded.path) == ("mine", path.resolve())
    assert [design.name for design in loaded.scenario.designs] == ["a"]
    before = loaded.sha256
    path.write_text(path.read_text() + "# changed\n")
    assert load(path).sha256 != before


def test_reading_a_scenario_does_not_let_locust_patch_the_process(tmp_path: Path) -> None:
    assert load(
        file(tmp_path, "import os\nassert os.environ['LOCUST_SKIP_MONKEY_PATCH'] == '1'\n" + dedent(GOOD))
    ).scenario


BAD_FILES = {
    "syntax_error": ("x = (\n", "mine.py:1: "),
    "no_scenario": ("x = 1\n", "defines no SCENARIO"),
    "scenario_of_another_kind": ("SCENARIO = {'designs': []}\n", "defines no SCENARIO"),
    "missing_module": ("import no_such_module_anywhere\n", "does not import"),
    "fails_while_read": ("x = 1\ny = 1 / 0\n", "(line 2 of mine.py)"),
    "does_not_check": ("from harness import Design\nDesign('a b')\n", "one word"),
}


@pytest.mark.parametrize(("text", "says"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    path = file(tmp_path, text)
    problem = refused(lambda: load(path))
    assert says in problem.message
    assert str(path) in problem.message


def test_a_file_of_plain_users_keeps_no_ledgers(tmp_path: Path) -> None:
    """Users are recognised by what they bring: a session user has ``session``, one of Locust has tasks."""
    plain = "class Reader:\n    wait_time, abstract = None, False\n"
    assert not load(file(tmp_path, plain), scenario("a")).has_ledgers
    assert load(file(tmp_path, f"{plain}    def session(self, client): ...\n"), scenario("a")).has_ledgers
    assert load(file(tmp_path, ""), scenario("a")).has_ledgers, "a file without users gets those of the harness"


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    problem = refused(lambda: load(tmp_path / name))
    assert "no scenario file" in problem.message
    assert "harness list scenarios" in problem.hint


def test_a_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("hello")
    assert "not a Python file" in refused(lambda: load(path)).message


def test_a_scenario_that_comes_with_the_harness_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(Path("node_kill")).name == load(Path("scenarios/node_kill.py")).name == "node_kill"
