"""Compares the judge with an independent truth: random histories of services with contents, and every kind of bug.

Each history is one session of a service with one of four models or the built-in tally, on a network that may refuse,
lose or delay. What happened follows from the contents of the service and from what the client could see of them; the
judge only sees what a client sees. Where it names another kind than what happened, all accounts of the history with the
fewest incidents are searched, from the contents alone: that kind is as good if one of them is of it. Prints a table of
the truth (rows) against the judge (columns). Exit code 1 if the judge raises a false alarm, misses an anomaly, or is
right about the kind in less than 99 % of any row.

    python -m benchmarks.judge [--histories N] [--seed N] [--processes N] [--write docs/judging.md]
"""

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.histories.accounts import find_accounts
from benchmarks.histories.bugs import BUGS, LONG_BUGS, Bug
from benchmarks.histories.feed import Feed
from benchmarks.histories.memory import MEMORIES, Memory
from benchmarks.histories.truth import Truth
from benchmarks.histories.world import CALM, ROUGH, USUAL, World

HISTORIES = 40_000
LEAST_RIGHT = 0.99
_LONG = 0.005  # the share of long histories
_SEVERAL = 0.15  # the share with more than one bug
_UNREAD = 0.03  # the share without a final read
_MARKS = "<!-- judge: begin -->", "<!-- judge: end -->"


@dataclass(frozen=True)
class Compared:
    """One history, as it was and as it was judged."""

    seed: int
    memory: str
    bugs: tuple[str, ...]
    operations: int
    anomalous: bool
    read: bool  # whether the final read showed the session
    kind: str
    judged: str
    is_as_good: bool  # whether the kind that was judged is another one, and explains all that the client saw as well
    gone: int  # acknowledged writes whose effect is missing at the end
    lost: int  # those that the judge counts as lost

    @property
    def is_right(self) -> bool:
        """Whether the judge names the kind, or one that explains the history as well."""
        return self.judged == self.kind or self.is_as_good

    @property
    def is_counted_right(self) -> bool:
        """Whether as many writes are lost as are gone, where the judge means the same by both.

        It counts all writes of a lost value or set, also those that later ones had overwritten or undone.
        """
        means_more = self.memory in ("register", "set") and self.kind in ("lost", "unexplained")
        return self.judged != self.kind or not self.read or means_more or self.lost == self.gone

    @property
    def is_false_alarm(self) -> bool:
        """Whether the judge accuses a service that kept its word."""
        return not self.anomalous and self.judged not in ("kept", "unknown")

    @property
    def is_miss(self) -> bool:
        """Whether the judge calls a session kept, or without need does not know, though the client saw an anomaly."""
        return self.anomalous and (self.judged == "kept" or (self.judged == "unknown" and self.read))


@dataclass(frozen=True)
class Played:
    """A history that has come to its end, and what the judge's ledger saw of it."""

    memory: Memory
    bugs: tuple[str, ...]
    world: World
    feed: Feed


def play(seed: int) -> Played:
    """Play the history of this seed."""
    rng = random.Random(seed)
    memory = MEMORIES[rng.choice(list(MEMORIES))]
    shows_birth = rng.random() < 0.5
    feed = Feed(memory, seed, shows_birth=shows_birth)
    world = World(rng, rng.choice([CALM, USUAL, USUAL, ROUGH]), memory.draw, feed.react, shows_birth)
    bugs = _draw_bugs(rng)
    for bug in bugs.values():
        for _ in range(rng.randint(0, 18)):
            world.step()
        bug(world)
    for _ in range(rng.randint(0, 18)):
        world.step()
    world.end(read=rng.random() >= _UNREAD)
    return Played(memory, tuple(bugs), world, feed)


def compare(seed: int) -> Compared:
    """Play the history of this seed, and judge it."""
    played = play(seed)
    memory, history = played.memory, played.world.history()
    verdict, truth = played.feed.verdict(played.world), Truth(history, memory)
    judged = verdict.outcome.value
    return Compared(
        seed,
        memory.name,
        played.bugs,
        operations=len(history.events),
        anomalous=truth.is_anomalous,
        read=truth.is_read,
        kind=truth.kind,
        judged=judged,
        is_as_good=judged != truth.kind
        and any(Truth(account, memory).kind == judged for account in find_accounts(history, memory)),
        gone=len(truth.gone),
        lost=verdict.lost_writes,
    )


def _draw_bugs(rng: random.Random) -> Mapping[str, Bug]:
    if rng.random() < _LONG:
        return dict([rng.choice(list(LONG_BUGS.items()))])
    return dict(rng.sample(list(BUGS.items()), rng.randint(2, 3) if rng.random() < _SEVERAL else 1))


@dataclass
class Confusion:
    """How often each kind of truth was judged as each kind."""

    histories: int = 0
    operations: int = 0
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    of_memory: Counter[str] = field(default_factory=Counter)  # histories by the kind of memory
    right: Counter[str] = field(default_factory=Counter)  # of these, those whose kind was right
    false_alarms: list[Compared] = field(default_factory=list)
    misses: list[Compared] = field(default_factory=list)
    others: list[Compared] = field(default_factory=list)  # anomalous, and called so, but of a wrong kind
    as_good: Counter[str] = field(default_factory=Counter)  # by the kind of truth: another kind explained it as well

    def add(self, compared: Compared) -> None:
        """Count one history."""
        self.histories += 1
        self.operations += compared.operations
        self.cells[compared.kind, compared.kind if compared.is_as_good else compared.judged] += 1
        self.as_good[compared.kind] += compared.is_as_good
        self.of_memory[compared.memory] += 1
        self.right[compared.memory] += compared.is_right
        if compared.is_false_alarm:
            self.false_alarms.append(compared)
        elif compared.is_miss:
            self.misses.append(compared)
        elif not compared.is_right:
            self.others.append(compared)

    @property
    def kinds(self) -> list[str]:
        """Every kind that occurred, the most frequent truth first."""
        rows = Counter[str]()
        for (kind, judged), count in self.cells.items():
            rows[kind] += count
            rows[judged] += 0
        return [kind for kind, _ in rows.most_common()]

    def share(self, kind: str) -> float:
        """The share of a row that is on the diagonal."""
        row = sum(count for (truth, _), count in self.cells.items() if truth == kind)
        return self.cells[kind, kind] / row if row else 1.0

    @property
    def passes(self) -> bool:
        """Whether the judge is as good as it has to be."""
        right = all(self.share(kind) >= LEAST_RIGHT for kind in self.kinds)
        return right and not self.false_alarms and not self.misses

    def table(self) -> Iterator[str]:
        """The confusion matrix as a table in Markdown; what is as good as the truth is on the diagonal."""
        kinds = self.kinds
        yield "| truth \\ judged | " + " | ".join(f"`{kind}`" for kind in kinds) + " | as good | right |"
        yield "| --- |" + " ---: |" * (len(kinds) + 2)
        for kind in kinds:
            counts = " | ".join(f"{self.cells[kind, judged]:,}" for judged in kinds)
            yield f"| `{kind}` | {counts} | {self.as_good[kind]:,} | {100 * self.share(kind):.1f} % |"

    def summary(self) -> str:
        """Three sentences."""
        shares = (
            f"{memory} {100 * self.right[memory] / count:.2f} %" for memory, count in self.of_memory.most_common()
        )
        return (
            f"{self.histories:,} random histories with {self.operations:,} operations: {len(self.false_alarms)} false "
            f"alarms, {len(self.misses)} anomalies missed. The kind was right in: {', '.join(sorted(shares))}. In "
            f"{self.as_good.total():,} histories ({100 * self.as_good.total() / self.histories:.2f} %) the judge names "
            "another kind than what happened, and that explains all that the client saw as well."
        )


def confuse(histories: int, seed: int, processes: int = 1) -> Confusion:
    """Compare so many histories, from this seed on, in so many processes."""
    confusion = Confusion()
    seeds = range(seed, seed + histories)
    if processes == 1:
        for one in map(compare, seeds):
            confusion.add(one)
        return confusion
    with ProcessPoolExecutor(processes) as pool:
        for one in pool.map(compare, seeds, chunksize=100):
            confusion.add(one)
    return confusion


def write_into(page: Path, confusion: Confusion) -> None:
    """Replace what stands between the marks of a page."""
    begin, end = _MARKS
    lines = "\n".join([begin, "", confusion.summary(), "", *confusion.table(), "", end])
    text = page.read_text()
    page.write_text(re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: lines, text, flags=re.DOTALL))


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Compare the judge with an independent truth.")
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", type=Path, help="a page whose table to replace")
    parser.add_argument("--list", type=int, default=5, help="how many wrong ones of each sort to list")
    options = parser.parse_args()
    confusion = confuse(options.histories, options.seed, options.processes)
    print("\n".join([confusion.summary(), "", *confusion.table()]))
    for what in ("false_alarms", "misses", "others"):
        for wrong in getattr(confusion, what)[: options.list]:
            print(f"{what}: {wrong}", file=sys.stderr)
    if options.write is not None:
        write_into(options.write, confusion)
    print(json.dumps({"histories": confusion.histories, "operations": confusion.operations, "pass": confusion.passes}))
    return 0 if confusion.passes else 1


if __name__ == "__main__":
    sys.exit(main())
