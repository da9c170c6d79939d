"""Do the unit tests notice a changed judge? Changes one token at a time, and runs the tests that execute its line.

    python -m benchmarks.mutation [--sample 200] [--seed 1 2] [--only oracle/]

Prints the share of mutants that the tests notice, and every survivor with its change. Survivors that are judged
equivalent are listed with their reasons in benchmarks/equivalent_mutants.toml, and do not count. Exit code 0: at least
92 % are noticed; 1: fewer; 2: the tests fail without a change.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.mutants import ROOT, Mutant, draw_mutants, list_positions, read_equivalent_mutants
from benchmarks.mutation_tests import TestMap, map_tests, notices, warm_up

#: The modules to change: whatever decides a verdict. Directories, files, or the beginnings of either.
SUBJECTS = (
    "harness/oracle/",
    "harness/analysis/metrics/",
    "harness/scenario/expectations",
    "harness/analysis/compare/",
    "harness/analysis/scaling/capacity.py",
)
TESTS = (
    "tests/unit/oracle",
    "tests/unit/analysis",
    "tests/unit/scenario",
    "tests/unit/results",
    "tests/unit/benchmarks",  # the judge against an independent truth
)
LEAST = 0.92


def list_subjects(only: str = "") -> tuple[str, ...]:
    """The paths of the modules to change, relative to the project; ``only`` is a part of their names."""
    paths = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "harness").rglob("*.py"))
    return tuple(path for path in paths if path.startswith(SUBJECTS) and only in path)


def find_survivors(mutants: Sequence[Mutant], tests: TestMap) -> Iterator[Mutant]:
    """The mutants that no test notices, with progress on standard error."""
    started = time.monotonic()
    survived = 0
    for number, mutant in enumerate(mutants, 1):
        batches = tests.select(mutant)
        if not any(notices(mutant, batch, sum(tests.seconds[test] for test in batch)) for batch in batches):
            survived += 1
            print(f"survived: {mutant}", file=sys.stderr, flush=True)
            yield mutant
        if number % 20 == 0:
            spent = time.monotonic() - started
            print(f"mutation: {number} of {len(mutants)}, {survived} survived, {spent:.0f} s", file=sys.stderr)


def main() -> int:
    """Draw, test and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="how many mutants")
    parser.add_argument("--seed", type=int, default=[1], nargs="+", help="which mutants; several seeds, a sample each")
    parser.add_argument("--only", default="", help="a part of the paths to change, such as oracle/")
    arguments = parser.parse_args()
    warm_up()
    paths = list_subjects(arguments.only)
    print(f"mutation: {len(paths)} modules; the tests once without a change", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        tests = map_tests(paths, TESTS, Path(scratch) / "map")
    if tests is None:
        print("mutation: the tests fail without a change, see above")
        return 2
    positions = list_positions(paths)
    known = {mutant.key: mutant.reason for mutant in read_equivalent_mutants()}
    codes = []
    for seed in arguments.seed:
        mutants = tuple(draw_mutants(positions, arguments.sample, seed))
        codes.append(report(mutants, tuple(find_survivors(mutants, tests)), known, seed))
    return max(codes)


def report(
    mutants: Sequence[Mutant], survivors: Sequence[Mutant], known: dict[tuple[str, str, str, str], str], seed: int
) -> int:
    """Print every survivor and the share that was noticed; returns 0 if that is enough."""
    equivalent = [mutant for mutant in survivors if mutant.key in known]
    missed = [mutant for mutant in survivors if mutant.key not in known]
    for mutant in missed:
        print(f"survived: {mutant}")
    for mutant in equivalent:
        print(f"equivalent: {mutant}\n  {known[mutant.key]}")
    counted = len(mutants) - len(equivalent)
    noticed = counted - len(missed)
    share = noticed / counted if counted else 0.0
    print(f"seed {seed}: {noticed} of {counted} mutants noticed ({share:.1%}), {len(equivalent)} equivalent left out")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
