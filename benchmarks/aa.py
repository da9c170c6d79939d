"""Is `harness compare` honest? A build against itself, against one with a seeded slowdown, and with one lost write.

    python benchmarks/aa.py [--runs 7] [--slow 2] [--out DIR]

Seven runs of one build make 21 comparisons of it with itself: none may be a regression, and at most two may be
inconclusive. Two runs in which one design is 25 % slower, each against five of the others, make ten: nine are to be
found. One run that loses a single acknowledged write must be found against every other. About twelve minutes, best
on a machine that does nothing else: where the echo shows that its speed changed, a comparison is inconclusive.
"""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

from harness.analysis.compare import ComparedRun, Comparison, ComparisonOutcome, compare

SCENARIO = Path(__file__).parent / "aa_scenario.py"
PAIRS = 6
SLOW = {"AA_SERVICE_TIME": "25ms"}
ONE_LOST = {"AA_BUGS": "drop:0.1"}  # with the scenario's seed that is one of eight users, who loses one write
AGAINST = 5


@dataclass(frozen=True)
class Claim:
    """What a set of comparisons must show."""

    name: str
    found: tuple[Comparison, ...]
    wanted: ComparisonOutcome
    allowed: int  # how many may be inconclusive in its place

    @property
    def holds(self) -> bool:
        """Whether all are as wanted, but for the few that may be inconclusive."""
        other = [one.outcome for one in self.found if one.outcome is not self.wanted]
        return bool(self.found) and len(other) <= self.allowed and set(other) <= {ComparisonOutcome.INCONCLUSIVE}

    def lines(self) -> Iterator[str]:
        """The count of each outcome, and why the ones that were not wanted are what they are."""
        counts = Counter(one.outcome.value for one in self.found)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        yield f"{'holds' if self.holds else 'BROKEN'}: {self.name}: {len(self.found)} comparisons: {told}"
        for one in self.found:
            if one.outcome is not self.wanted:
                yield f"  {one.run} against {one.baseline}: {one.outcome}: {'; '.join(one.why)}"


def measure(out: Path, changed: Mapping[str, str], repeat: int = PAIRS) -> ComparedRun:
    """Run the scenario once, and read what it measured."""
    command = [sys.executable, "-m", "harness.cli", "run", str(SCENARIO), "--repeat", str(repeat), "--out", str(out)]
    done = subprocess.run(command, env={**os.environ, **changed}, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode not in (0, 1, 3):
        sys.exit(f"aa: harness run ended with {done.returncode}: {done.stdout}")
    return ComparedRun.read((out / SCENARIO.stem / "latest").resolve())


def claims(same: Sequence[ComparedRun], slow: Sequence[ComparedRun], lossy: ComparedRun) -> Iterator[Claim]:
    """The three claims."""
    against_itself = tuple(compare(later, earlier) for earlier, later in combinations(same, 2))
    yield Claim(
        "a build against itself", against_itself, ComparisonOutcome.EQUIVALENT, allowed=len(against_itself) // 10
    )
    slowed = tuple(compare(one, other) for one, other in product(slow, same[:AGAINST]))
    yield Claim("a design that is 25 % slower", slowed, ComparisonOutcome.REGRESSION, allowed=len(slowed) // 10)
    lost = sum(lossy.summary.designs[name].arms["control"].writes.lost for name in lossy.plan.designs)
    found = tuple(compare(lossy, other) for other in same)
    yield Claim(f"{lost} lost acknowledged write", found if lost == 1 else (), ComparisonOutcome.REGRESSION, allowed=0)


def main() -> int:
    """Measure, compare, tell; 0 where every claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="of one build (7: 21 comparisons)")
    parser.add_argument("--slow", type=int, default=2, help="with the slowdown (2: 10 comparisons)")
    parser.add_argument("--out", type=Path, default=Path("results"), help="where the runs are kept")
    asked = parser.parse_args()
    slow_at = {(nth + 1) * asked.runs // (asked.slow + 1) for nth in range(asked.slow)}
    same, slow = [], []
    for nth in range(asked.runs):
        same.append(measure(asked.out, {}))
        if nth + 1 in slow_at:  # in between, so that a drift of the machine hits both alike
            slow.append(measure(asked.out, SLOW))
    judged = list(claims(same, slow, measure(asked.out, ONE_LOST, repeat=1)))
    print("\n".join(line for claim in judged for line in claim.lines()))
    return 0 if all(claim.holds for claim in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
