"""Does `harness compare` judge correctly? Compares a build with itself, with a slowed one, and with a lossy one.

    python benchmarks/aa.py [--runs 7] [--slow 2] [--out DIR]

Seven runs of one build give 21 comparisons with itself: none may be a regression, and at most two may be
inconclusive. Three pairs of them, each pair two sessions of one side, give three more, of which one may be. Two runs in
which one design is 25 % slower, each compared with five of the others, give ten: nine must be regressions. One run that
loses a single acknowledged write must be a regression against every other. This takes about twelve minutes. Use an idle
machine: if the echo shows that its speed changed, a comparison is inconclusive.
"""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path

from harness.analysis.compare import ComparedRun, Comparison, ComparisonOutcome, compare

SCENARIO = Path(__file__).parent / "aa_scenario.py"
PAIRS = 6
SLOW = {"AA_SERVICE_TIME": "25ms"}
ONE_LOST = {"AA_BUGS": "drop:0.1"}  # with the scenario's seed, one of eight users loses one write
BASELINES = 5


@dataclass(frozen=True)
class Claim:
    """What a set of comparisons must show."""

    name: str
    comparisons: tuple[Comparison, ...]
    expected: ComparisonOutcome
    allowed: int  # how many may be inconclusive instead

    @property
    def holds(self) -> bool:
        """Whether all comparisons are as expected, except the few that may be inconclusive."""
        other = [comparison.outcome for comparison in self.comparisons if comparison.outcome is not self.expected]
        return bool(self.comparisons) and len(other) <= self.allowed and set(other) <= {ComparisonOutcome.INCONCLUSIVE}

    def lines(self) -> Iterator[str]:
        """The count of each outcome, and the reasons of unexpected outcomes."""
        counts = Counter(comparison.outcome.value for comparison in self.comparisons)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        yield f"{'holds' if self.holds else 'BROKEN'}: {self.name}: {len(self.comparisons)} comparisons: {outcomes}"
        for comparison in self.comparisons:
            if comparison.outcome is not self.expected:
                reasons = "; ".join(comparison.why)
                yield f"  {comparison.run} against {comparison.baseline}: {comparison.outcome}: {reasons}"


def measure(out: Path, variables: Mapping[str, str], repeat: int = PAIRS) -> ComparedRun:
    """Run the scenario once with these environment variables, and read its results."""
    command = [sys.executable, "-m", "harness.cli", "run", str(SCENARIO), "--repeat", str(repeat), "--out", str(out)]
    process = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, check=False, text=True)
    if process.returncode not in (0, 1, 3):
        sys.exit(f"aa: harness run ended with {process.returncode}: {process.stdout}")
    return ComparedRun.read((out / SCENARIO.stem / "latest").resolve())


def claims(same: Sequence[ComparedRun], slow: Sequence[ComparedRun], lossy: ComparedRun) -> Iterator[Claim]:
    """What the comparisons must show."""
    against_itself = tuple(compare(later, earlier) for earlier, later in combinations(same, 2))
    yield Claim(
        "a build against itself", against_itself, ComparisonOutcome.EQUIVALENT, allowed=len(against_itself) // 10
    )
    twice = [replace(first, also=(second,)) for first, second in zip(same[::2], same[1::2], strict=False)]
    in_two_sessions = tuple(compare(later, earlier) for earlier, later in combinations(twice, 2))
    yield Claim(
        "a build against itself, two sessions on each side", in_two_sessions, ComparisonOutcome.EQUIVALENT, allowed=1
    )
    slowed = tuple(compare(run, baseline) for run, baseline in product(slow, same[:BASELINES]))
    yield Claim("a design that is 25 % slower", slowed, ComparisonOutcome.REGRESSION, allowed=len(slowed) // 10)
    lost = sum(lossy.summary.designs[name].arms["control"].writes.lost for name in lossy.plan.designs)
    against_lossless = tuple(compare(lossy, baseline) for baseline in same)
    yield Claim(
        f"{lost} lost acknowledged write",
        against_lossless if lost == 1 else (),
        ComparisonOutcome.REGRESSION,
        allowed=0,
    )


def main() -> int:
    """Measure, compare and print; returns 0 if every claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="runs of one build (7 give 21 comparisons)")
    parser.add_argument("--slow", type=int, default=2, help="runs with the slowdown (2 give 10 comparisons)")
    parser.add_argument("--out", type=Path, default=Path("results"), help="directory of the runs")
    arguments = parser.parse_args()
    slow_after = {(index + 1) * arguments.runs // (arguments.slow + 1) for index in range(arguments.slow)}
    same, slow = [], []
    for count in range(1, arguments.runs + 1):
        same.append(measure(arguments.out, {}))
        if count in slow_after:  # in between: a drift of the machine affects both equally
            slow.append(measure(arguments.out, SLOW))
    results = list(claims(same, slow, measure(arguments.out, ONE_LOST, repeat=1)))
    print("\n".join(line for claim in results for line in claim.lines()))
    return 0 if all(claim.holds for claim in results) else 1


if __name__ == "__main__":
    sys.exit(main())
