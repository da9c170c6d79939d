"""A comparison as text: sentences, table rows, Markdown, JUnit's XML, annotations of GitHub Actions."""

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
_GOOD = (ComparisonOutcome.IMPROVED, ComparisonOutcome.EQUIVALENT)


def render_sentence(comparison: Comparison) -> str:
    """The result in one line."""
    held = sum(invariant.outcome in _GOOD for invariant in comparison.invariants)
    kept = (
        f"{held} of {len(comparison.invariants)} counts and checks hold"
        if comparison.invariants
        else "nothing was compared"
    )
    same = sum(metric.outcome in _GOOD for metric in comparison.metrics if metric.gates)
    gating = sum(metric.gates for metric in comparison.metrics)
    times = f", {same} of {gating} gating ratios within {comparison.margin:.0%} or better" if comparison.metrics else ""
    return f"{comparison.outcome}: {comparison.run} against {comparison.baseline}: {kept}{times}"


def render_notes(comparison: Comparison) -> Iterator[str]:
    """What a reader of the table must know besides."""
    yield from (
        f"the machines differ, which was declared acceptable: {difference}" for difference in comparison.declared
    )
    yield from (f"differs: {difference}" for difference in comparison.changes)
    aa = {name: share for name, share in comparison.noise.aa.items() if share is not None}
    if aa:
        yield "the A/A arm moved by " + ", ".join(f"{share:.1%} ({name})" for name, share in aa.items())
    if comparison.noise.echo:
        low, high = comparison.noise.echo
        yield f"the echo ran at {low:.0%} to {high:.0%} of its speed in the baseline's session (95 %)"
    if comparison.metrics:
        yield "a metric marked with a dot is too unsteady to gate, unless it is a regression"


def render_row(metric: MetricComparison) -> tuple[str, ...]:
    """The cells of a metric, in the order of ``COLUMNS``."""
    name = metric.name if metric.gates else f"{metric.name} ·"
    few = ", too few pairs" if metric.has_too_few_pairs else ""
    change = interval = "-"
    if metric.ratio is not None:
        (ratio,) = _orient(metric, (metric.ratio,))
        change = f"{ratio - 1:+.1%}"
    if metric.interval is not None:
        low, high = _orient(metric, metric.interval)
        interval = f"{low - 1:+.1%} to {high - 1:+.1%}"
    return name, change, interval, f"{metric.pairs[0]}, {metric.pairs[1]}", f"{metric.outcome.value}{few}"


def _orient(metric: MetricComparison, ratios: tuple[float, ...]) -> list[float]:
    """The ratios of a throughput inverted back: they are kept so that more is worse."""
    return sorted(1 / ratio for ratio in ratios) if metric.measure == "throughput" else list(ratios)


def select_broken(comparison: Comparison) -> tuple[Invariant, ...]:
    """The counts and checks that moved, or are inconclusive."""
    return tuple(
        invariant for invariant in comparison.invariants if invariant.outcome is not ComparisonOutcome.EQUIVALENT
    )


def render_markdown(comparison: Comparison) -> str:
    """A comment for a pull request."""
    lines = [
        f"### {_MARKS[comparison.outcome]} {comparison.scenario}: {comparison.outcome}",
        "",
        render_sentence(comparison),
        "",
    ]
    lines += [f"- {_escape_cell(why)}" for why in comparison.why]
    if select_broken(comparison):
        lines += ["", "| count or check | design | verdict | why |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_escape_cell(row.what)} | {row.design} | {row.outcome} | {_escape_cell(row.why)} |"
            for row in select_broken(comparison)
        ]
    if comparison.metrics:
        lines += ["", f"| {' | '.join(COLUMNS)} |", "| --- | ---: | --- | --- | --- |"]
        lines += [f"| {' | '.join(map(_escape_cell, render_row(metric)))} |" for metric in comparison.metrics]
    lines += ["", *(f"- {_escape_cell(note)}" for note in render_notes(comparison))]
    return "\n".join(lines).rstrip() + "\n"


def write_markdown(comparison: Comparison, path: Path) -> None:
    """Write ``markdown`` to a file."""
    write_text(path, render_markdown(comparison))


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def write_junit(comparison: Comparison, path: Path) -> None:
    """Write a test case per invariant and metric: a regression is a failure, an inconclusive one is skipped."""
    exact, ratios = TestSuite(f"{comparison.scenario}: invariants"), TestSuite(f"{comparison.scenario}: ratios")
    for invariant in comparison.invariants:
        name = f"{invariant.design or 'the run'}: {invariant.what}"
        exact.add_testcase(_build_case(name, invariant.outcome, invariant.why))
    for metric in comparison.metrics:
        ratios.add_testcase(_build_case(metric.name, metric.outcome, metric.why))
    whole = TestSuite(f"{comparison.scenario}: comparison")
    whole.add_testcase(_build_case("comparison", comparison.outcome, "; ".join(comparison.why)))
    document = JUnitXml("harness compare")
    for suite in (exact, ratios, whole):
        document.add_testsuite(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(str(path), pretty=True)


def _build_case(name: str, outcome: ComparisonOutcome, why: str) -> TestCase:
    case = TestCase(_strip_control_characters(name))
    if outcome is ComparisonOutcome.REGRESSION:
        case.result = [Failure(_strip_control_characters(why), outcome.value)]
    elif outcome in (ComparisonOutcome.INCONCLUSIVE, ComparisonOutcome.NOT_COMPARABLE):
        case.result = [Skipped(_strip_control_characters(f"{outcome}: {why}"))]
    return case


def _strip_control_characters(text: str) -> str:
    """XML has no control characters."""
    return "".join(c for c in text if c.isprintable())


def render_annotations(comparison: Comparison) -> Iterator[str]:
    """Workflow commands of GitHub Actions: an error per reason of a regression, else a warning."""
    level = {ComparisonOutcome.REGRESSION: "error"}.get(comparison.outcome, "warning")
    if comparison.outcome.exit_code:
        for why in comparison.why:
            escaped = why.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
            yield f"::{level} title=harness compare: {comparison.outcome}::{escaped}"
