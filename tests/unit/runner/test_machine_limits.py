"""What the machine cannot do is refused before anything starts, with the figure of what it can."""

from pathlib import Path

import pytest

from harness.cli import main
from harness.common.errors import UsageError
from harness.runner.machine_limits import MachineLimits, require
from harness.scenario.design import Design
from harness.scenario.driver_processes import DriverProcesses
from harness.scenario.scenario import Scenario
from harness.scenario.workload import Load, Requests, Sessions
from tests.support.harness_command import NODE_KILL

SMALL = MachineLimits(cores=2, memory=1 << 30, descriptors=1024)


def scenario(load: Load, replicas: int = 2) -> Scenario:
    return Scenario([Design("one")], load, replicas=replicas)


@pytest.mark.parametrize(
    ("load", "replicas", "processes", "figure"),
    [
        (Sessions(concurrent=961), 2, 1, "at most 960"),
        (Sessions(concurrent=1921), 2, 2, "at most 1,920"),
        (Requests(5.0, sessions=961), 2, 1, "at most 960"),
        (Requests(100_001.0), 2, 1, "at most 100,000"),
        (Sessions(concurrent=1), 52, 1, "at most 51"),
        (Sessions(concurrent=20), 2, 17, "at most 16 load processes"),
    ],
)
def test_one_more_than_the_machine_can_do(load: Load, replicas: int, processes: int, figure: str) -> None:
    with pytest.raises(UsageError) as problem:
        require(scenario(load, replicas), DriverProcesses(processes), SMALL)
    assert figure in problem.value.hint


def test_as_much_as_the_machine_can_do() -> None:
    require(scenario(Sessions(concurrent=960), 51), DriverProcesses(1), SMALL)
    require(scenario(Requests(100_000.0, sessions=960)), DriverProcesses(1), SMALL)


@pytest.mark.parametrize(
    "words",
    [
        ("run", NODE_KILL, "--users", "99999999999999999999"),
        ("run", NODE_KILL, "--rate", "inf"),
        ("run", NODE_KILL, "--rate", "nan"),
        ("run", NODE_KILL, "--rate", "1e300"),
        ("run", NODE_KILL, "--processes", "1000"),
        ("run", NODE_KILL, "--replicas", "99999999999"),
        ("run", NODE_KILL, "--repeat", "99999999999"),
        ("run", NODE_KILL, "--seed", "9" * 50),
        ("run", NODE_KILL, "--duration", "9" * 400 + "h"),
        ("run", NODE_KILL, "--duration", "1000000h"),
        ("run", NODE_KILL, "--expect-workers", "99999999999"),
        ("run", "--url", "http://[::1"),
        ("run", "--command", "sleep 9", "--kill", "9" * 400 + "s"),
        ("scale", NODE_KILL, "--replicas", "99999999999"),
        ("scale", NODE_KILL, "--replicas", "1," + "9" * 5000),
        ("scale", NODE_KILL, "--slo-p99", "nan"),
        ("up", NODE_KILL, "--design", "sticky", "--replicas", "99999999999"),
    ],
    ids=lambda words: " ".join(map(str, words))[-40:],
)
def test_a_flag_beyond_all_bounds_is_exit_2(
    words: tuple[str | Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "results")] if words[0] != "up" else []
    assert main([*map(str, words), *out]) == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed and "hint:" in printed
    assert not (tmp_path / "results").exists()
