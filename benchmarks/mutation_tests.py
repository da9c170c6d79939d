"""The unit tests that `make mutation` runs: which test executes which lines, and whether some of them notice a mutant.

Tests run in forked children of a process that has imported everything but the project, so that a mutant costs a second.
"""

import gc
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import math
import os
import pickle
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import coverage
import hypothesis
import pytest

from benchmarks.mutants import ROOT, Mutant

#: What the project imports, so that a child need not.
_WARM = ("numpy", "scipy.stats", "pandas", "pyarrow.parquet", "msgspec", "iminuit", "aiohttp", "rich.table", "psutil")
_MEMORY = 6 << 30  # bytes of a child: a mutant may allocate without end
_MOST_S = 300  # of one test without a change: together they take as long as the machine needs
_PYTEST = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow or sampled", "--no-header")


_CLOSEST = 2  # files of tests in the first batch: what is not imported costs no time


def _file(test: str) -> str:
    return test.partition("::")[0]


@dataclass(frozen=True)
class TestMap:
    """Which tests execute which lines, and how long each takes (seconds)."""

    tests_by_line: Mapping[str, Mapping[int, frozenset[str]]]  # by path relative to the root
    seconds: Mapping[str, float]

    def select(self, mutant: Mutant) -> tuple[tuple[str, ...], ...]:
        """The tests that can notice a mutant, in batches: first those of the files that execute its line most.

        A line that runs when its module is imported concerns all tests: those that use the module come first.
        """
        lines = self.tests_by_line.get(mutant.path, {})
        at_line = lines.get(mutant.line, frozenset())
        likely = at_line or frozenset().union(*lines.values())
        files = Counter(_file(test) for test in likely)
        closest = [file for file, _ in sorted(files.items(), key=lambda item: (-item[1], item[0]))[:_CLOSEST]]
        selected = sorted(at_line or self.seconds, key=self.seconds.__getitem__)
        first = tuple(test for test in selected if _file(test) in closest)
        return tuple(filter(None, (first, tuple(test for test in selected if _file(test) not in closest))))


class _MutatedModule(importlib.machinery.SourceFileLoader):
    """Loads a module from changed text in place of its file."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _MutatedFinder(importlib.abc.MetaPathFinder):
    """Finds the one module that is changed."""

    def __init__(self, mutant: Mutant) -> None:
        self._path = str(ROOT / mutant.path)
        self._source = mutant.source
        parts = Path(mutant.path).with_suffix("").parts
        self._name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _MutatedModule(fullname, self._path, self._source)
        return importlib.util.spec_from_file_location(fullname, self._path, loader=loader)


class _Selection:
    """Keeps the selected tests alone, in their order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._rank = {test: rank for rank, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )


class _Recorder:
    """Gives every test a coverage context of its own, and measures its time."""

    def __init__(self, lines: coverage.Coverage) -> None:
        self._lines = lines
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        signal.alarm(_MOST_S)  # ends this process if the test does not end
        self._lines.switch_context(item.nodeid)
        started = time.monotonic()
        try:
            return (yield)
        finally:
            signal.alarm(0)
            self.seconds[item.nodeid] = time.monotonic() - started
            self._lines.switch_context("")


def map_tests(paths: Sequence[str], tests: Sequence[str], scratch: Path) -> TestMap | None:
    """Run all tests once over the unchanged modules; None if any fails, or does not end. ``scratch`` is a new file."""

    def record() -> int:
        lines = coverage.Coverage(data_file=None, include=[str(ROOT / path) for path in paths], config_file=False)
        recorder = _Recorder(lines)
        lines.start()
        code = pytest.main([*_PYTEST, *tests], plugins=[recorder])
        lines.stop()
        data = lines.get_data()
        by_line = {
            path: {
                line: frozenset(contexts) - {""} for line, contexts in data.contexts_by_lineno(str(ROOT / path)).items()
            }
            for path in paths
        }
        scratch.write_bytes(pickle.dumps(TestMap(by_line, recorder.seconds)))
        return code

    code = _fork(record, timeout_s=math.inf, quiet=False)
    if code == -signal.SIGALRM:
        print(f"mutation: a test did not end within {_MOST_S} s", file=sys.stderr)
    if code != 0:
        return None
    found = pickle.loads(scratch.read_bytes())  # noqa: S301  # this process wrote it
    assert isinstance(found, TestMap)  # noqa: S101
    return found


def notices(mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
    """Whether any of the tests fails with the mutant, or does not end. ``seconds`` is what they take without it."""

    def run() -> int:
        _forget_project()
        sys.meta_path.insert(0, _MutatedFinder(mutant))
        files = dict.fromkeys(map(_file, tests))
        return pytest.main([*_PYTEST, *files], plugins=[_Selection(tests)])

    return bool(tests) and _fork(run, timeout_s=20.0 + 5 * seconds, quiet=True) != 0


def _forget_project() -> None:
    """Have a child import the project again, should it have inherited any of it."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("harness", "targets", "tests")]:
        del sys.modules[name]


def warm_up() -> None:
    """Import what the children need, once, and make generated tests repeat themselves."""
    for name in _WARM:
        importlib.import_module(name)
    for plugin in importlib.metadata.entry_points(group="pytest11"):
        plugin.load()
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    gc.freeze()  # pytest collects garbage at its end, which need not look at all this again


def _fork(work: Callable[[], int], timeout_s: float, *, quiet: bool) -> int:
    """Run ``work`` in a child with a process group of its own; its exit code, or -1 if it was killed for its time."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_child(work, quiet)
    deadline = time.monotonic() + timeout_s
    pause = 0.005
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            _end_group(child)
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(0.05, pause * 1.2)
    _end_group(child)
    os.waitpid(child, 0)
    return -1


def _be_child(work: Callable[[], int], quiet: bool) -> None:
    """Do the work and exit with its code, whatever happens."""
    code = 99
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        if quiet:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
        code = int(work())
    finally:
        sys.stdout.flush()
        os._exit(code)


def _end_group(child: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
