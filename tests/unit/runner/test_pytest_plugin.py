"""The fixture for pytest: it passes with the verdicts, and fails with their reasons."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import BuiltIn, Design, Scenario, Sessions
from harness.results.verdicts import Result, Verdict
from harness.runner.library import Results
from harness.runner.pytest_plugin import HarnessRun, _runner

SCENARIO = Scenario([Design("one", BuiltIn())], Sessions(concurrent=1, duration="3s"))


def runner(tmp_path: Path, calls: list[dict[str, Any]], *verdicts: Verdict) -> HarnessRun:
    """The fixture's function over a library whose runs end with these verdicts."""

    def run(*values: Any, **options: Any) -> Results:
        calls.append({"values": values, **options})
        return cast(Results, SimpleNamespace(path=tmp_path / "mine", verdict="fail", verdicts=verdicts))

    return _runner(tmp_path, run)


def test_a_run_whose_verdicts_pass_is_returned(tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []
    run = runner(tmp_path, calls, Verdict("keeps", Result.PASS, "0 of 9 lost"))
    assert run(SCENARIO, replicas=2).path == tmp_path / "mine"
    (call,) = calls
    assert (call["values"], call["out"], call["changes"].replicas) == ((SCENARIO, None), tmp_path, 2)


@pytest.mark.parametrize("result", [Result.FAIL, Result.UNKNOWN])
def test_another_verdict_fails_the_test_with_its_reason(tmp_path: Path, result: Result) -> None:
    run = runner(tmp_path, [], Verdict("keeps", result, "3 of 9 lost"), Verdict("clean_control", Result.PASS, "clean"))
    with pytest.raises(pytest.fail.Exception, match="3 of 9 lost") as failure:
        run(SCENARIO)
    assert "mine" in str(failure.value) and "clean_control" not in str(failure.value)


def test_a_scenario_is_also_named_by_its_file(tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []
    runner(tmp_path, calls)("scenarios/node_kill.py")
    scenario, users = calls[0]["values"]
    assert {design.name for design in scenario.designs} >= {"sticky", "hybrid"} and users.name == "node_kill.py"


@pytest.mark.slow
def test_pytest_finds_the_fixture_and_loads_no_more_than_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\n"
        "def test_without():\n"
        "    assert 'harness.runner.library' not in sys.modules\n"
        "def test_with(harness_run):\n"
        "    assert callable(harness_run)\n"
    )
    options = ("-p", "no:xdist", "-p", "no:hypothesispytest", "-p", "no:asyncio")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=2)
