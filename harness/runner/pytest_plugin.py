"""A fixture for pytest that runs a scenario and asserts its verdicts; an entry point brings it into every session.

def test_sessions_survive_a_crash(harness_run):
    harness_run("scenarios/node_kill.py", designs=("hybrid",), quick=True)
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from harness.runner.library import Results, Users
    from harness.scenario.scenario import Scenario


class HarnessRun(Protocol):
    """What the fixture is: a function that runs a scenario."""

    def __call__(self, scenario: "Scenario | str | Path", users: "Users" = None, **changes: Any) -> "Results":
        """Run it, and fail the test unless every verdict is pass."""


@pytest.fixture
def harness_run(tmp_path: Path) -> HarnessRun:
    """Runs a scenario, or a scenario's file, and fails the test unless every verdict is pass.

    ``users`` are as in ``harness.run``; further arguments are those of ``harness.Overrides``. Returns the results; the
    run is kept in ``tmp_path``.
    """
    from harness.runner import library  # noqa: PLC0415 - pytest loads this module even where no test uses it

    return _runner(tmp_path, library.run)


def _runner(out: Path, run: "Callable[..., Results]") -> HarnessRun:
    from harness.scenario import loading, overrides  # noqa: PLC0415 - as above

    def run_and_assert(scenario: "Scenario | str | Path", users: "Users" = None, **changes: Any) -> "Results":
        if isinstance(scenario, str | Path):
            loaded = loading.load(Path(scenario))
            scenario, users = loaded.scenario, users or loaded.users
        results = run(scenario, users, out=out, changes=overrides.Overrides(**changes))
        reasons = [f"{v.check}: {v.result.value}, {v.why}" for v in results.verdicts if v.result.value != "pass"]
        if reasons:
            pytest.fail("\n".join([f"{results.verdict}: see {results.path}", *reasons]), pytrace=False)
        return results

    return run_and_assert
