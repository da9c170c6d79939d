"""What a command may not import: it starts as quickly as what it does allows. Counted in modules, not in seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.results.run import Run
from tests.support.recorded_run import keep, plan

pytestmark = pytest.mark.slow  # every test starts Python

ANALYSIS = frozenset({"iminuit", "matplotlib", "numpy", "pandas", "pyarrow", "scipy"})
LOAD = frozenset({"gevent", "locust"})
#: The clients that only the extras of pyproject.toml install: `make bench` does not.
EXTRAS = frozenset({"asyncpg", "hazelcast", "httpx", "httpx_ws", "kr8s", "memcachio", "nats", "yaml"})
SLOW = ANALYSIS | LOAD | {"aiohttp"}
#: Runs a command line, then prints which packages and which submodules of scipy are loaded.
SCRIPT = """
import sys
from harness.cli.app import run_command_line
code = run_command_line(sys.argv[1:])
sys.stdout.flush()
print(*{name.partition(".")[0] for name in sys.modules} | {name for name in sys.modules if name.count(".") == 1},
      file=sys.stderr)
"""


def loaded_by(*argv: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *argv], capture_output=True, text=True, check=False)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("argv", [["run", "--help"], ["list"], ["doctor"], ["kill", "--help"], ["list", "states"]])
def test_a_command_without_figures_loads_nothing_for_analysis_or_load(argv: list[str]) -> None:
    assert loaded_by(*argv) & SLOW == set()


@pytest.mark.parametrize("argv", [["list"], ["list", "designs"], ["run", "node_kill", "--dry-run"]])
def test_what_needs_no_extra_loads_none(argv: list[str]) -> None:
    assert loaded_by(*argv) & EXTRAS == set()


def test_the_help_loads_the_command_line_alone() -> None:
    assert loaded_by("--help") & (SLOW | {"rich", "asyncio", "msgspec", "psutil"}) == set()


@pytest.mark.parametrize("command", ["explain", "report"])
def test_reading_a_run_loads_no_load_generator_and_no_statistics_that_it_does_not_use(
    command: str, tmp_path: Path
) -> None:
    run = Run.create(tmp_path, plan())
    keep(run)
    loaded = loaded_by(command, str(run.path))
    assert "pandas" in loaded, "it did not read the run"
    assert loaded & (LOAD | {"aiohttp", "scipy.stats", "docker"}) == set()
    assert command == "report" or not loaded & {"matplotlib", "scipy"}
