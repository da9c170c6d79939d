"""However the harness ends, within two seconds nothing of its run lives, and its scratch directory is gone."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.cluster.stores import STORES
from harness.cluster.supervisor.main import OWNER_FILE, RUN_VARIABLE, SCRATCH_PREFIX, descendants, processes
from harness.common.errors import EnvironmentLacksError
from tests.support.supervised import AWKWARD

WITHIN = 2.0  # seconds: what the harness promises
ROOT = Path(__file__).parents[2]
Harness = subprocess.Popen[str]

pytestmark = pytest.mark.alone


def pids_of(run: str) -> set[int]:
    """Live processes that carry the run's name in their environment, the supervisor among them."""
    mark = f"{RUN_VARIABLE}={run}\0".encode()
    return {process.pid for process in processes() if process.state not in "ZX" and mark in environment(process.pid)}


def environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def scratch_of(run: str) -> list[Path]:
    prefix = Path(SCRATCH_PREFIX)
    return [path for path in prefix.parent.glob(f"{prefix.name}*/{OWNER_FILE}") if read(path).endswith(f" {run}")]


def read(path: Path) -> str:
    """What is in a file; nothing if another run has removed it meanwhile."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def nothing_left(run: str, also: set[int]) -> None:
    """Wait for it as long as was promised, then look."""
    deadline = time.monotonic() + WITHIN

    def left() -> tuple[set[int], list[Path]]:
        alive = {process.pid for process in processes() if process.state not in "ZX"}
        return pids_of(run) | (also & alive), scratch_of(run)

    while any(left()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left() == (set(), [])


def heed_signals() -> None:
    """In the child: nohup and a shell's background jobs leave some signals ignored to all that they start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[str, Harness]]]:
    started: list[Harness] = []

    def start_one(module: str = "tests.support.supervised", *arguments: str) -> tuple[str, Harness]:
        run = uuid.uuid4().hex
        argv = [sys.executable, "-m", module, run, str(tmp_path), *arguments]
        harness = subprocess.Popen(
            argv,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_signals,  # noqa: PLW1509 - no thread runs beside it
        )
        started.append(harness)
        return run, harness

    yield start_one
    for harness in started:
        harness.kill()
        harness.communicate()


def up(harness: Harness) -> None:
    assert harness.stdout is not None
    assert harness.stdout.readline() == "up\n", harness.stderr and harness.stderr.read()


def everything_below(harness: Harness) -> set[int]:
    return set(descendants(harness.pid))


def settled_descendants(run: str, harness: Harness) -> set[int]:
    """The descendants, once all of them carry the run's name: for a moment, a process that starts another does not."""
    deadline = time.monotonic() + WITHIN
    while not (below := everything_below(harness)) <= pids_of(run):
        assert time.monotonic() < deadline, f"{below - pids_of(run)} do not belong to the run"
        time.sleep(0.02)
    return below


def test_sigkill_while_all_is_up(start: Callable[..., tuple[str, Harness]]) -> None:
    run, harness = start()
    up(harness)
    below = settled_descendants(run, harness)
    assert len(below) >= len(AWKWARD) + 3  # the supervisor, and two that left their session
    assert len(scratch_of(run)) == 1
    harness.kill()
    nothing_left(run, below)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 14))])
def test_sigkill_at_any_moment_of_the_start(start: Callable[..., tuple[str, Harness]], seed: int) -> None:
    run, harness = start()
    time.sleep(random.Random(seed).uniform(0.1, 0.7))
    below = everything_below(harness)
    harness.kill()
    nothing_left(run, below)


def test_an_exception_in_the_middle(start: Callable[..., tuple[str, Harness]]) -> None:
    run, harness = start("tests.support.supervised", "raise")
    up(harness)
    assert harness.wait(10) == 1
    assert harness.stderr is not None
    assert "in the middle" in harness.stderr.read()
    nothing_left(run, set())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_harness(start: Callable[..., tuple[str, Harness]], number: signal.Signals) -> None:
    run, harness = start()
    up(harness)
    below = everything_below(harness)
    harness.send_signal(number)
    harness.wait(10)
    nothing_left(run, below)


def test_a_signal_to_the_supervisor(start: Callable[..., tuple[str, Harness]]) -> None:
    run, harness = start()
    up(harness)
    below = everything_below(harness)
    (supervisor,) = [process.pid for process in processes() if process.parent == harness.pid]
    os.kill(supervisor, signal.SIGTERM)
    nothing_left(run, below - {supervisor})


def test_a_harness_that_forked_does_not_keep_its_run_alive(start: Callable[..., tuple[str, Harness]]) -> None:
    run, harness = start("tests.support.supervised", "fork")
    up(harness)
    below = everything_below(harness)
    (copy,) = {process.pid for process in processes() if process.parent == harness.pid} - pids_of(run)
    harness.kill()
    try:
        nothing_left(run, below - {copy})
    finally:
        os.kill(copy, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["redis", "postgres"])
def test_sigkill_in_the_middle_of_faults(start: Callable[..., tuple[str, Harness]], state: str) -> None:
    """Stopped parts are ended too: a paused replica and store, a throttled replica, and the proxy on a link.

    PostgreSQL is many processes, each in a session of its own, and runs as another user where this is root.
    """
    try:
        STORES[state].program()
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")
    run, harness = start("tests.support.topology", state, "haproxy", "broken")
    up(harness)
    below = everything_below(harness)
    stopped = {process.pid for process in processes() if process.pid in below and process.state == "T"}
    assert len(stopped) >= 2
    harness.kill()
    nothing_left(run, below)


@pytest.mark.slow
@pytest.mark.parametrize(("state", "balancer"), [("memory", "haproxy"), ("redis", "nginx")])
def test_sigkill_with_a_whole_topology_up(start: Callable[..., tuple[str, Harness]], state: str, balancer: str) -> None:
    run, harness = start("tests.support.topology", state, balancer)
    up(harness)
    below = everything_below(harness)
    harness.kill()
    nothing_left(run, below)
