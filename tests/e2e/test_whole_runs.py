"""The command line against real parts: what is left when it ends, however it ends."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.results.run import Run
from tests.support.harness_command import (
    NODE_KILL,
    ROOT,
    argv,
    assert_passes_except_for_times,
    assert_run_passes,
    harness,
)

pytestmark = pytest.mark.slow


@contextmanager
def _running(out: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A quick run in the background, as a script starts one: SIGINT ignored. Killed at the end if it still runs."""
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "-", *argv("run", NODE_KILL, "--quick", "--out", out, *more)]
    started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()


def _run_directory(out: Path) -> Path:
    return max((path.parent for path in (out / "node_kill").glob("2*/run.json")), default=out / "none")


def _alive(run: str) -> list[psutil.Process]:
    """Every process of a run: all of them carry its id, or have an ancestor that does."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HARNESS_RUN") == run and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def _until(holds: Callable[[], object], within: float) -> bool:
    give_up = time.monotonic() + within
    while time.monotonic() < give_up:
        if holds():
            return True
        time.sleep(0.05)
    return bool(holds())


def _load_is_on(out: Path, arm: str) -> Callable[[], bool]:
    def on() -> bool:
        spool = _run_directory(out) / "observations" / arm / "spool" / "requests.bin"
        return spool.exists() and spool.stat().st_size > 0

    return on


def _named(run: str, word: str) -> psutil.Process:
    return next(process for process in _alive(run) if any(word in part for part in process.cmdline()))


@pytest.mark.alone
@pytest.mark.parametrize("attempt", range(5))
def test_sigkill_at_a_random_moment_leaves_nothing_running(tmp_path: Path, attempt: int) -> None:
    with _running(tmp_path, "--design", "hybrid") as started:
        assert _until(lambda: bool(list((tmp_path / "node_kill").glob("2*/run.json"))), 30)
        time.sleep(random.uniform(0, 12))
        started.kill()
        run = _run_directory(tmp_path).name
        assert _until(lambda: not _alive(run), 2), _alive(run)


def test_ctrl_c_ends_with_130_and_leaves_a_readable_run(tmp_path: Path) -> None:
    with _running(tmp_path, "--design", "sticky") as started:
        assert _until(_load_is_on(tmp_path, "sticky-control"), 60)
        time.sleep(1)
        started.send_signal(signal.SIGINT)
        assert started.wait(30) == 130
    run = _run_directory(tmp_path)
    assert not _alive(run.name)
    result = harness("report", run)
    assert result.code == 3, result.err
    assert "cut off or did not run" in result.out
    assert (run / "report.html").stat().st_size > 10_000
    summary = json.loads((run / "summary.json").read_text())
    assert summary["designs"]["sticky"]["arms"]["control"]["requests"]["attempted"] > 0


@pytest.mark.parametrize(
    ("design", "word", "part"),
    [("hybrid", "haproxy", "haproxy"), ("hybrid", "valkey", "redis"), ("sticky", "locust", "load")],
)
def test_a_part_that_dies_on_its_own_is_reported_and_makes_the_run_unknown(
    tmp_path: Path, design: str, word: str, part: str
) -> None:
    with _running(tmp_path, "--design", design) as started:
        assert _until(_load_is_on(tmp_path, f"{design}-control"), 60)
        time.sleep(1)
        os.kill(_named(_run_directory(tmp_path).name, word).pid, signal.SIGKILL)
        out, err = started.communicate(timeout=60)
    assert started.returncode == 3, out + err
    assert f"{part} died on its own" in out + err
    assert "Traceback" not in out + err
    verdicts = json.loads((_run_directory(tmp_path) / "verdicts.json").read_text())
    assert any(verdict["check"] == "part_died" for verdict in verdicts)


def test_two_runs_at_once_share_nothing(tmp_path: Path) -> None:
    with _running(tmp_path / "a", "--design", "sticky") as one, _running(tmp_path / "b", "--design", "sticky") as two:
        codes = [one.wait(120), two.wait(120)]
    for out in (tmp_path / "a", tmp_path / "b"):
        sticky = json.loads((_run_directory(out) / "summary.json").read_text())["designs"]["sticky"]
        sessions = sticky["arms"]["fault"]["sessions"]
        assert sessions["lost"] == sessions["at_risk"] > 0
        assert sessions["lost_not_at_risk"] == sessions["at_risk_not_lost"] == 0
        assert_passes_except_for_times(Run.open(_run_directory(out)).read_verdicts())
    assert set(codes) <= {0, 3}


def test_proxy_settings_of_the_environment_do_not_matter(tmp_path: Path) -> None:
    nonsense = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), "http://nonsense.invalid:1")
    result = harness("run", NODE_KILL, "--quick", "--design", "stateless", "--out", tmp_path, env=nonsense)
    assert_run_passes(result, _run_directory(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_is_reported_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], check=True)
    try:
        result = harness("run", NODE_KILL, "--quick", "--design", "sticky", "--out", small)
        assert result.code == 4, result.err
        assert "no space left" in result.err and "Traceback" not in result.err
        assert "hint:" in result.err
        assert (_run_directory(small) / "run.json").exists()
    finally:
        subprocess.run(["umount", "-l", small], check=True)
