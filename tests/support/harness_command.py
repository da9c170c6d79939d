"""Runs the command line as a user does, in a separate process."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.results.run import Run
from harness.results.verdicts import TIMING_CHECKS, Result, Verdict

ROOT = Path(__file__).resolve().parents[2]
NODE_KILL = ROOT / "scenarios" / "node_kill.py"


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def argv(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "harness.cli", *map(str, arguments)]


def harness(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 120
) -> CommandResult:
    done = subprocess.run(
        argv(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd or ROOT,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def assert_passes_except_for_times(verdicts: Iterable[Verdict]) -> None:
    """Check that every verdict is ``pass``; only those on times may differ, since the machine may be busy."""
    others = [verdict for verdict in verdicts if verdict.check not in TIMING_CHECKS]
    assert others and all(verdict.result is Result.PASS for verdict in others), others


def assert_run_passes(result: CommandResult, directory: Path) -> None:
    """Check that a run which a command made passes; a busy machine may make its times unknown."""
    assert result.code in (0, 3), result.out + result.err
    assert_passes_except_for_times(Run.open(directory).read_verdicts())


def assert_one_clear_line(result: CommandResult, code: int, *words: str) -> None:
    """Check for the documented exit code, one line with the problem, a hint, and no Python traceback."""
    assert result.code == code, result.err
    assert "Traceback" not in result.err + result.out
    line = next(line for line in result.err.splitlines() if line.startswith("harness: "))
    for word in words:
        assert word in line, line
    assert "hint:" in result.err, result.err
