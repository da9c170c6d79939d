"""A comparison for those who read it: sentences, table rows, Markdown, JUnit's XML, annotations of GitHub Actions."""

from collections.abc import Iterator
from pathlib import Path

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.analysis.compare import Comparison, ComparisonOutcome, MetricComparison
from harness.analysis.compare.invariants import Invariant
from harness.results.files import write_text

COLUMNS = ("ratio", "change", "95 % interval", "pairs", "verdict")
_MARKS = {
    ComparisonOutcome.REGRESSION: "❌",
    ComparisonOutcome.NOT_COMPARABLE: "❔",
    ComparisonOutcome.INCONCLUSIVE: "❔",
    ComparisonOutcome.IMPROVED: "✅",
    ComparisonOutcome.EQUIVALENT: "✅",
}


def render_sentence(found: Comparison) -> str:
    """What it comes to, in a line."""
    exact = sum(one.outcome is not ComparisonOutcome.REGRESSION for one in found.invariants)
    kept = f"{exact} of {len(found.invariants)} invariants hold" if found.invariants else "nothing was compared"
    same = sum(
        one.outcome in (ComparisonOutcome.EQUIVALENT, ComparisonOutcome.IMPROVED) for one in found.metrics if one.gates
    )
    gating = sum(one.gates for one in found.metrics)
    times = f", {same} of {gating} gating ratios within {found.margin:.0%} or better" if found.metrics else ""
    return f"{found.outcome}: {found.run} against {found.baseline}: {kept}{times}"


def render_notes(found: Comparison) -> Iterator[str]:
    """What has to be known beside the table."""
    yield from (f"the machines differ, which was declared to be all right: {one}" for one in found.declared)
    yield from (f"differs: {one}" for one in found.changes)
    aa = {name: share for name, share in found.noise.aa.items() if share is not None}
    if aa:
        yield "the A/A arm moved by " + ", ".join(f"{share:.1%} ({name})" for name, share in aa.items())
    if found.noise.echo:
        low, high = found.noise.echo
        yield f"the echo ran at {low:.0%} to {high:.0%} of its speed in the baseline's session (95 %)"
    if found.metrics:
        yield "told, not waited for: what is marked with a dot is too unsteady to gate, unless it is a regression"


def render_row(one: MetricComparison) -> tuple[str, ...]:
    """A metric's cells, in the order of ``COLUMNS``."""
    name = one.name if one.gates else f"{one.name} ·"
    pairs = f"{one.pairs[0]}, {one.pairs[1]}"
    if one.ratio is None or one.interval is None:
        return name, "-", "-", pairs, one.outcome.value
    low, high = _natural(one, one.interval)
    (ratio,) = _natural(one, (one.ratio,))
    return name, f"{ratio - 1:+.1%}", f"{low - 1:+.1%} to {high - 1:+.1%}", pairs, one.outcome.value


def _natural(one: MetricComparison, ratios: tuple[float, ...]) -> list[float]:
    """Turned back for a throughput, whose ratio is kept as more is worse."""
    return sorted(1 / ratio for ratio in ratios) if one.measure == "throughput" else list(ratios)


def select_broken(found: Comparison) -> tuple[Invariant, ...]:
    """The invariants that do not hold, or of which nobody knows."""
    return tuple(one for one in found.invariants if one.outcome is not ComparisonOutcome.EQUIVALENT)


def render_markdown(found: Comparison) -> str:
    """A comment for a pull request."""
    lines = [f"### {_MARKS[found.outcome]} {found.scenario}: {found.outcome}", "", render_sentence(found), ""]
    lines += [f"- {_cell(why)}" for why in found.why]
    if select_broken(found):
        lines += ["", "| invariant | design | verdict | why |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_cell(one.what)} | {one.design} | {one.outcome} | {_cell(one.why)} |" for one in select_broken(found)
        ]
    if found.metrics:
        lines += ["", f"| {' | '.join(COLUMNS)} |", "| --- | ---: | --- | --- | --- |"]
        lines += [f"| {' | '.join(map(_cell, render_row(one)))} |" for one in found.metrics]
    lines += ["", *(f"- {_cell(note)}" for note in render_notes(found))]
    return "\n".join(lines).rstrip() + "\n"


def write_markdown(found: Comparison, path: Path) -> None:
    """Write ``markdown`` to a file."""
    write_text(path, render_markdown(found))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def write_junit(found: Comparison, path: Path) -> None:
    """Write a test case an invariant and a metric: a regression is a failure, what is not known is skipped."""
    exact, ratios = TestSuite(f"{found.scenario}: invariants"), TestSuite(f"{found.scenario}: ratios")
    for one in found.invariants:
        exact.add_testcase(_case(f"{one.design or 'the run'}: {one.what}", one.outcome, one.why))
    for metric in found.metrics:
        ratios.add_testcase(_case(metric.name, metric.outcome, metric.why))
    whole = TestSuite(f"{found.scenario}: comparison")
    whole.add_testcase(_case("comparison", found.outcome, "; ".join(found.why)))
    document = JUnitXml("harness compare")
    for suite in (exact, ratios, whole):
        document.add_testsuite(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(str(path), pretty=True)


def _case(name: str, outcome: ComparisonOutcome, why: str) -> TestCase:
    case = TestCase(_printable(name))
    if outcome is ComparisonOutcome.REGRESSION:
        case.result = [Failure(_printable(why), outcome.value)]
    elif outcome in (ComparisonOutcome.INCONCLUSIVE, ComparisonOutcome.NOT_COMPARABLE):
        case.result = [Skipped(_printable(f"{outcome}: {why}"))]
    return case


def _printable(text: str) -> str:
    """XML knows no control characters."""
    return "".join(c for c in text if c.isprintable())


def render_annotations(found: Comparison) -> Iterator[str]:
    """Workflow commands of GitHub Actions: an error a regression, a warning where it cannot be told."""
    level = {ComparisonOutcome.REGRESSION: "error"}.get(found.outcome, "warning")
    if found.outcome.exit_code:
        for why in found.why:
            yield f"::{level} title=harness compare: {found.outcome}::{_escaped(why)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
