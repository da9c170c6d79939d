"""A signal ends the harness in good order, a second one at once; neither prints a traceback."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WORK = """
import asyncio, sys
from harness.common.interrupts import interrupt_on_signals, run_until_interrupted

async def work():
    print("up", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("ending", flush=True)
        await asyncio.sleep({end})
        print("ended", flush=True)

interrupt_on_signals()
try:
    run_until_interrupted(work())
except KeyboardInterrupt:
    sys.exit(130)
"""
#: A command whose imports take a second, and say when they begin.
IMPORTING = """
import sys, time
from harness.cli import main

class Slow:
    def find_spec(self, name, *_):
        if name == "harness.cli.app":
            print("importing", flush=True)
            time.sleep(1000)

sys.meta_path.insert(0, Slow())
sys.exit(main(["list", "states"]))
"""


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that has printed its first line."""
    argv = [sys.executable, "-c", request.param]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() in ("up\n", "importing\n")
        yield process
        process.kill()


@pytest.mark.parametrize("started", [WORK.format(end=0)], indirect=True, ids=["work"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_work_in_good_order(started: subprocess.Popen[str], number: signal.Signals) -> None:
    started.send_signal(number)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (130, "ending\nended\n", "")


@pytest.mark.parametrize("started", [WORK.format(end=1000)], indirect=True, ids=["work"])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_ends_it_at_once(started: subprocess.Popen[str], second: signal.Signals) -> None:
    started.send_signal(signal.SIGTERM)
    assert started.stdout is not None and started.stdout.readline() == "ending\n"
    started.send_signal(second)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("started", [IMPORTING], indirect=True, ids=["import"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_imports_is_an_interrupt(
    started: subprocess.Popen[str], number: signal.Signals
) -> None:
    started.send_signal(number)
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (130, "interrupted\n")


def test_nohup_keeps_what_it_asked_for() -> None:
    code = "import os, signal; from harness.common.interrupts import interrupt_on_signals as f; f(); "
    code += "os.kill(os.getpid(), signal.SIGHUP); print('still here')"
    argv = ["nohup", sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "still here" in done.stdout
