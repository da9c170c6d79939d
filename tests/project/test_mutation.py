"""What `make mutation` changes, which tests it runs, and the list of mutants that no test can notice."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import mutants, mutation, mutation_tests
from benchmarks.mutants import Mutant, Position, draw_mutants, list_positions, read_equivalent_mutants
from benchmarks.mutation_tests import TestMap, map_tests, notices

SUBJECT = "harness/analysis/compare/outcome.py"
POSITIONS = list_positions([SUBJECT])


def mutant(line: int = 3, was: str = "a < b", becomes: str = "a <= b") -> Mutant:
    return Mutant("some/module.py", line, "judge", was, becomes, "")


def test_a_mutant_differs_in_one_line_and_is_a_program() -> None:
    before = (mutants.ROOT / SUBJECT).read_text().splitlines()
    drawn = list(draw_mutants(POSITIONS, 10, seed=1))
    assert drawn
    for each in drawn:
        changed = [
            number for number, (a, b) in enumerate(zip(before, each.source.splitlines(), strict=True), 1) if a != b
        ]
        assert changed == [each.line]
        assert (each.was, each.becomes) == (
            before[each.line - 1].strip(),
            each.source.splitlines()[each.line - 1].strip(),
        )
        compile(each.source, each.path, "exec")


def test_a_seed_always_draws_the_same_mutants_and_another_seed_others() -> None:
    first, again, other = ([each.key for each in draw_mutants(POSITIONS, 4, seed)] for seed in (1, 1, 2))
    assert first == again != other


def test_it_changes_no_more_tokens_than_there_are_and_none_twice() -> None:
    drawn = list(draw_mutants(POSITIONS, 10_000, seed=3))
    assert 0 < len(drawn) <= len(POSITIONS)
    assert len({position.start for position in POSITIONS}) == len(POSITIONS)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f(a: int | None = 1) -> int | str:\n    return a\n", ["def f(a: int | None = 2) -> int | str:"]),
        ("x: int | str = a < b\n", ["x: int | str = a >= b"]),
        ("for x in y: pass\n", []),
        ("a = b in c\n", ["a = b not in c"]),
        ("a = min(b)\na += 1\n", ["a = max(b)", "a -= 1"]),
    ],
)
def test_annotations_and_loops_are_left_alone(
    source: str, lines: Sequence[str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("project")
    (root / "module.py").write_text(source)
    monkeypatch.setattr(mutants, "ROOT", root)
    found = set()
    for seed in range(40):
        found |= {each.becomes.replace("  ", " ") for each in draw_mutants(list_positions(["module.py"]), 10, seed)}
    assert set(lines) <= found
    assert all("int | None" in text for text in found if text.startswith("def"))
    assert bool(found) is bool(lines)


def test_an_operator_does_not_become_what_is_the_same_of_masks_or_members() -> None:
    names = {kind.__name__ for kind in mutants._OPERATORS}
    assert {"ReplaceBinaryOperator_BitAnd_BitOr", "ReplaceComparisonOperator_Eq_Is"} <= names
    assert not names & {"ReplaceBinaryOperator_BitAnd_Mul", "ReplaceBinaryOperator_BitOr_Add"}
    assert not names & {"ReplaceComparisonOperator_Is_Eq", "ReplaceComparisonOperator_IsNot_NotEq"}


def test_the_subjects_are_what_decides_a_verdict() -> None:
    paths = mutation.list_subjects()
    assert {"harness/analysis/scaling/capacity.py", "harness/analysis/compare/ratios.py"} <= set(paths)
    assert any(path.startswith("harness/oracle/") for path in paths)
    assert any(path.startswith("harness/analysis/metrics/") for path in paths)
    assert any(path.startswith("harness/scenario/expectations") for path in paths)
    assert mutation.list_subjects("ratios") == ("harness/analysis/compare/ratios.py",)


def test_the_files_that_execute_a_line_most_come_first_and_the_fastest_of_their_tests() -> None:
    by_line = {
        3: frozenset({"a::slow", "a::fast", "b::1", "b::2", "c::1"}),
        4: frozenset({"c::1"}),
        9: frozenset[str](),
    }
    seconds = {"a::slow": 2.0, "a::fast": 0.1, "b::1": 0.2, "b::2": 0.3, "c::1": 0.01, "d::1": 0.02}
    tests = TestMap({"some/module.py": by_line}, seconds)
    assert tests.select(mutant(line=3)) == (("a::fast", "b::1", "b::2", "a::slow"), ("c::1",))
    assert tests.select(mutant(line=4)) == (("c::1",),)


def test_a_line_that_runs_on_import_concerns_every_test() -> None:
    by_line = {3: frozenset({"b::1", "b::2"}), 9: frozenset[str]()}
    tests = TestMap({"some/module.py": by_line}, {"b::1": 0.2, "b::2": 0.1, "d::1": 0.02})
    assert tests.select(mutant(line=9)) == (("b::2", "b::1"), ("d::1",))
    assert TestMap({}, {}).select(mutant()) == ()


def test_a_line_that_no_test_executes_survives() -> None:
    assert not notices(mutant(), (), 0.0)


def test_the_share_counts_all_but_the_equivalent_ones(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = [mutant(line) for line in range(10)]
    odd, bad = mutant(becomes="a > b"), mutant(becomes="a == b")
    assert mutation.report([*drawn, odd], [odd], {odd.key: "never equal"}, seed=1) == 0
    assert "10 of 10 mutants noticed (100.0%), 1 equivalent left out" in capsys.readouterr().out
    assert mutation.report([*drawn, bad], [bad], {}, seed=1) == 1
    assert "survived: some/module.py:3 in judge\n  - a < b\n  + a == b\n" in capsys.readouterr().out
    assert mutation.report([], [], {}, seed=1) == 1


def test_every_equivalent_mutant_still_exists_and_has_a_reason() -> None:
    gone = [equal for equal in read_equivalent_mutants() if not equal.exists]
    assert gone == []
    assert all(len(equal.reason.split()) >= 4 and equal.was != equal.becomes for equal in read_equivalent_mutants())


def test_positions_name_a_token_and_its_choices() -> None:
    assert all(isinstance(position, Position) and position.choices for position in POSITIONS)


@pytest.mark.slow
def test_a_mutant_is_noticed_by_the_tests_that_execute_it_and_an_equal_one_is_not() -> None:
    tests = ("tests/unit/analysis/compare/test_counts.py::test_a_share_is_the_count_per_thing_and_0_of_none",)
    path = "harness/analysis/compare/counts.py"
    source = (mutants.ROOT / path).read_text()
    same = Mutant(path, 1, "Counted.share", "", "", source)
    broken = Mutant(path, 1, "Counted.share", "", "", source.replace("self.count / self.of", "self.count * self.of"))
    assert not notices(same, tests, 10.0)
    assert notices(broken, tests, 10.0)


@pytest.mark.slow
def test_a_test_that_does_not_end_is_reported_and_ends_the_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stuck = tmp_path / "test_stuck.py"
    stuck.write_text("import time\n\ndef test_stuck():\n    time.sleep(600)\n")
    monkeypatch.setattr(mutation_tests, "_MOST_S", 1)
    assert map_tests([SUBJECT], [str(stuck)], tmp_path / "map") is None
    assert "a test did not end within 1 s" in capfd.readouterr().err
