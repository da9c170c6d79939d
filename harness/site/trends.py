"""One figure over the runs of a scenario: a line per design, each run with its commit, the baseline marked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.report.charts.words import number
from harness.results.summary import ArmFigures, DesignSummary
from harness.site.plot import Line, Plot, Shade
from harness.site.run_index import ListedRun

_MOST_LABELS = 8


@dataclass(frozen=True)
class TrendFigure:
    """A figure of a design: the arm that it is read from, and its value there; None is unknown."""

    name: str  # as the address of its page has it
    title: str
    unit: str
    arm: str
    read: Callable[[ArmFigures], float | None]

    def of(self, design: DesignSummary | None) -> float | None:
        """Its value for a design; None if it was not measured or cannot be trusted."""
        arm = design.arms.get(self.arm) if design else None
        return self.read(arm) if arm else None


def read_loss(arm: ArmFigures) -> float | None:
    """The share of the sessions that were lost, in per cent."""
    return None if arm.sessions.loss_rate is None else 100 * arm.sessions.loss_rate


FIGURES = (
    TrendFigure("session-loss", "Sessions lost under the fault", "%", "fault", read_loss),
    TrendFigure("writes-lost", "Acknowledged writes lost under the fault", "", "fault", lambda arm: arm.writes.lost),
    TrendFigure(
        "p99",
        "p99 without a fault",
        "ms",
        "control",
        lambda arm: arm.latency_ms.p99 if arm.trusts("p99") else None,
    ),
    TrendFigure(
        "cpu",
        "CPU per request without a fault",
        "ms",
        "control",
        lambda arm: arm.resources.cpu_ms_per_request if arm.times_trusted else None,
    ),
)


@dataclass(frozen=True)
class Trend:
    """A figure over runs, the oldest first."""

    figure: TrendFigure
    runs: Sequence[ListedRun]

    @property
    def designs(self) -> list[str]:
        """Every design that a run measured, in the order of the newest run that has it."""
        return list(dict.fromkeys(name for listed in reversed(self.runs) for name in _designs(listed)))

    def value(self, listed: ListedRun, design: str) -> float | None:
        """The figure of a design in a run; None is unknown."""
        return self.figure.of(_designs(listed).get(design))

    def cell(self, listed: ListedRun, design: str) -> str:
        """That value in words."""
        if design not in _designs(listed):
            return "not run"
        value = self.value(listed, design)
        return "unknown" if value is None else number(value, self.figure.unit)

    @property
    def plot(self) -> Plot:
        """The chart: runs at equal distances, because they come at irregular times."""
        count = len(self.runs)
        step = max(1, -(-count // _MOST_LABELS))
        return Plot(
            self.figure.title,
            self.figure.unit,
            [
                Line(design, [(float(at), self.value(listed, design)) for at, listed in enumerate(self.runs)])
                for design in self.designs
            ],
            (-0.5, count - 0.5),
            [Shade(at - 0.5, at + 0.5, "baseline") for at, listed in enumerate(self.runs) if listed.is_baseline],
            [(float(at), self.runs[at].commit or "?") for at in range(count - 1, -1, -step)],
            marks=True,
            width=760,
            height=300,
        )


def collect_runs(runs: Sequence[ListedRun], baseline: ListedRun | None) -> list[ListedRun]:
    """The runs that have figures, with the baseline at its place in time even where only its copy is left."""
    found = {listed.run.plan.run: listed for listed in (baseline, *runs) if listed and listed.summary}
    return [found[name] for name in sorted(found)]


def _designs(listed: ListedRun) -> Mapping[str, DesignSummary]:
    return listed.summary.designs if listed.summary else {}
