"""How fast the driver is beside others: one core for the driver, a fixed reply from nginx on another.

Prints a table, and as its last line one JSON object; exit code 1 where a floor does not hold. ``--docs`` writes the
result and its chart into docs/.

    python -m benchmarks.driver [--quick | --ci] [--rounds N] [--seconds S] [--docs]
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import CI_FLOORS, FEW, FLOORS, MANY, Comparison, Entry
from benchmarks.drivers import FAST_HTTP, OURS, PEERS, WRK, Ours, Peer
from harness.common.environment import environment, versions
from harness.common.errors import HarnessError

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- bench-driver: begin -->", "<!-- bench-driver: end -->"


@dataclass(frozen=True)
class Form:
    """What is compared for how long; where a floor does not hold there may be ``at_most`` so many times the rounds."""

    peers: Sequence[Peer]
    connections: Sequence[int]
    rounds: int
    seconds: float
    at_most: int
    floors: Mapping[str, float] = field(default_factory=lambda: FLOORS)


_WHOLE = Form(PEERS, (FEW, MANY), 5, 3.0, 1)
_QUICK = Form((FAST_HTTP, WRK), (FEW, MANY), 3, 1.5, 3)
_CI = Form((FAST_HTTP, WRK), (FEW,), 3, 1.0, 2, CI_FLOORS)


def main() -> int:
    """The command; its exit code."""
    asked = _parser().parse_args()
    console = Console(stderr=True)
    form = _CI if asked.ci else _QUICK if asked.quick else _WHOLE
    comparison = Comparison(_entries(form), asked.seconds or form.seconds, console, form.floors)
    rounds = asked.rounds or form.rounds
    try:
        asyncio.run(comparison.rounds(rounds, rounds * form.at_most))
    except HarnessError as problem:
        console.print(f"bench-driver: {problem.message}\n  {problem.hint}", markup=False)
        return problem.code
    Console().print(_table(comparison))
    for broken in comparison.broken():
        console.print(f"bench-driver: {broken}")
    if asked.docs:
        _write_docs(comparison)
    print(json.dumps(comparison.figures()))
    return 1 if comparison.broken() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-driver", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only what the floors speak of, in short rounds")
    parser.add_argument(
        "--ci", action="store_true", help="under a minute: only the CPU time a request is held to floors"
    )
    parser.add_argument("--rounds", type=int, help="of every driver (5; --quick and --ci: 3)")
    parser.add_argument("--seconds", type=float, help="measured in each round (3; --quick: 1.5; --ci: 1)")
    parser.add_argument("--docs", action="store_true", help="write docs/driver.md and its chart anew")
    return parser


def _entries(form: Form) -> list[Entry]:
    """What is compared: every driver that is there, and of many connections ours and wrk."""
    drivers: list[Ours | Peer] = [Ours(), *(peer for peer in form.peers if peer.there)]
    both = [driver for driver in drivers if driver.name in (OURS, WRK.name)]
    return [Entry(driver, n) for n in form.connections for driver in (drivers if n == FEW else both)]


def _rows(comparison: Comparison) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for entry in sorted(comparison.entries, key=lambda entry: (entry.connections, -entry.best)):
        ratio = 1.0 if entry.name == OURS else comparison.ratio(entry.name, entry.connections)
        figures = (f"{entry.best:,.0f}", f"{entry.median:,.0f}", f"{entry.cpu_us:.1f}", f"{ratio:.2f}")
        rows.append((entry.name, f"{entry.connections:,}", *figures))
    return rows


_COLUMNS = ("driver", "connections", "requests/s, best", "median", "CPU us a request", "harness / it")


def _table(comparison: Comparison) -> Table:
    table = Table(title="One core for the driver, nginx's fixed reply from another", title_justify="left")
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if index else "left")
    for row in _rows(comparison):
        table.add_row(*row)
    missing = [f"{peer.name} ({peer.install})" for peer in PEERS if not peer.there]
    table.caption = f"not on this machine: {', '.join(missing)}" if missing else None
    return table


def _write_docs(comparison: Comparison) -> None:
    _chart(comparison, DOCS / "driver.svg")
    page = DOCS / "driver.md"
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{_result(comparison)}\n{END}{rest.partition(END)[2]}")


def _result(comparison: Comparison) -> str:
    """The result as Markdown."""
    where, what = environment(), versions()
    told = comparison.figures()
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {where['cpu']}, {where['cores']} cores, {where['kernel']}, "
        f"Python {where['python']}, Locust {what.get('locust')}; {told['rounds']} rounds of {told['seconds']:g} s.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "| --- |" + " ---: |" * (len(_COLUMNS) - 1),
        *("| " + " | ".join(row) + " |" for row in _rows(comparison)),
        "",
        "```json",
        json.dumps(told, indent=1),
        "```",
        "",
        "![Requests a second of every driver](driver.svg)",
        "",
    ]
    return "\n".join(lines)


def _chart(comparison: Comparison, path: Path) -> None:
    """Bars of the best round, a mark at the median, by 32 connections."""
    matplotlib.rcParams.update({"svg.hashsalt": "driver", "svg.fonttype": "none"})
    entries = sorted((e for e in comparison.entries if e.connections == FEW), key=lambda entry: entry.best)
    figure = Figure(figsize=(8, 0.42 * len(entries) + 1.2), layout="constrained")
    axes = figure.subplots()
    colors = ["#1b6ca8" if entry.name == OURS else "#b8b8b8" for entry in entries]
    bars = axes.barh([entry.name for entry in entries], [entry.best for entry in entries], color=colors)
    axes.bar_label(bars, [f"{entry.best:,.0f}" for entry in entries], padding=4)
    axes.plot([entry.median for entry in entries], range(len(entries)), "k|", markersize=12, label="median round")
    axes.set_xlabel(f"requests a second, {FEW} connections, best round")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
