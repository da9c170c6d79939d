"""Compares the speed of the driver with others: one core for the driver, a fixed response from nginx on another.

Prints a table, and one JSON object as its last line; exit code 1 if a floor does not hold. ``--docs`` writes the
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
class Variant:
    """What is compared, and for how long. While a floor does not hold, up to ``max_factor * rounds`` are run."""

    peers: Sequence[Peer]
    connections: Sequence[int]
    rounds: int
    seconds: float
    max_factor: int
    floors: Mapping[str, float] = field(default_factory=lambda: FLOORS)


_FULL = Variant(PEERS, (FEW, MANY), 5, 3.0, 1)
_QUICK = Variant((FAST_HTTP, WRK), (FEW, MANY), 3, 1.5, 3)
_CI = Variant((FAST_HTTP, WRK), (FEW,), 3, 1.0, 6, CI_FLOORS)


def main() -> int:
    """Run the command; returns its exit code."""
    arguments = _parser().parse_args()
    console = Console(stderr=True)
    variant = _CI if arguments.ci else _QUICK if arguments.quick else _FULL
    comparison = Comparison(_entries(variant), arguments.seconds or variant.seconds, console, variant.floors)
    rounds = arguments.rounds or variant.rounds
    try:
        asyncio.run(comparison.measure_rounds(rounds, rounds * variant.max_factor))
    except HarnessError as problem:
        console.print(f"bench-driver: {problem.message}\n  {problem.hint}", markup=False)
        return problem.code
    Console().print(_table(comparison))
    for broken in comparison.broken():
        console.print(f"bench-driver: {broken}")
    if arguments.docs:
        _write_docs(comparison)
    print(json.dumps(comparison.figures()))
    return 1 if comparison.broken() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-driver", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only the drivers that have floors, in short rounds")
    parser.add_argument("--ci", action="store_true", help="about a minute: floors apply to CPU time per request only")
    parser.add_argument("--rounds", type=int, help="rounds of every driver (5; --quick and --ci: 3)")
    parser.add_argument("--seconds", type=float, help="measured seconds of each round (3; --quick: 1.5; --ci: 1)")
    parser.add_argument("--docs", action="store_true", help="update docs/driver.md and its chart")
    return parser


def _entries(variant: Variant) -> list[Entry]:
    """Every installed driver with few connections, and the harness and wrk also with many."""
    drivers: list[Ours | Peer] = [Ours(), *(peer for peer in variant.peers if peer.is_installed)]
    scalable = [driver for driver in drivers if driver.name in (OURS, WRK.name)]
    return [Entry(driver, count) for count in variant.connections for driver in (drivers if count == FEW else scalable)]


def _rows(comparison: Comparison) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for entry in sorted(comparison.entries, key=lambda entry: (entry.connections, -entry.best)):
        ratio = 1.0 if entry.name == OURS else comparison.ratio(entry.name, entry.connections)
        figures = (f"{entry.best:,.0f}", f"{entry.median:,.0f}", f"{entry.cpu_us:.1f}", f"{ratio:.2f}")
        rows.append((entry.name, f"{entry.connections:,}", *figures))
    return rows


_COLUMNS = ("driver", "connections", "requests per second, best", "median", "CPU us per request", "harness / driver")


def _table(comparison: Comparison) -> Table:
    table = Table(title="One core for the driver, a fixed response from nginx on another", title_justify="left")
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if index else "left")
    for row in _rows(comparison):
        table.add_row(*row)
    missing = [f"{peer.name} ({peer.install})" for peer in PEERS if not peer.is_installed]
    table.caption = f"not installed: {', '.join(missing)}" if missing else None
    return table


def _write_docs(comparison: Comparison) -> None:
    _draw_chart(comparison, DOCS / "driver.svg")
    page = DOCS / "driver.md"
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{_markdown(comparison)}\n{END}{rest.partition(END)[2]}")


def _markdown(comparison: Comparison) -> str:
    """The result as Markdown."""
    machine, packages = environment(), versions()
    figures = comparison.figures()
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, "
        f"Python {machine['python']}, Locust {packages.get('locust')}; "
        f"{figures['rounds']} rounds of {figures['seconds']:g} s.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "| --- |" + " ---: |" * (len(_COLUMNS) - 1),
        *("| " + " | ".join(row) + " |" for row in _rows(comparison)),
        "",
        "```json",
        json.dumps(figures, indent=1),
        "```",
        "",
        "![Requests per second of every driver](driver.svg)",
        "",
    ]
    return "\n".join(lines)


def _draw_chart(comparison: Comparison, path: Path) -> None:
    """A bar for the best round of each driver with 32 connections, and a mark at its median round."""
    matplotlib.rcParams.update({"svg.hashsalt": "driver", "svg.fonttype": "none"})
    entries = sorted((e for e in comparison.entries if e.connections == FEW), key=lambda entry: entry.best)
    figure = Figure(figsize=(8, 0.42 * len(entries) + 1.2), layout="constrained")
    axes = figure.subplots()
    colors = ["#1b6ca8" if entry.name == OURS else "#b8b8b8" for entry in entries]
    bars = axes.barh([entry.name for entry in entries], [entry.best for entry in entries], color=colors)
    axes.bar_label(bars, [f"{entry.best:,.0f}" for entry in entries], padding=4)
    axes.plot([entry.median for entry in entries], range(len(entries)), "k|", markersize=12, label="median round")
    axes.set_xlabel(f"requests per second, {FEW} connections, best round")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
