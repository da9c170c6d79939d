"""Made-up sides of a comparison: two sessions with the noise of a real machine, and seeded changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.analysis.compare import ComparedRun
from harness.oracle.outcome import SessionOutcome
from harness.results.plan import RunPlan
from harness.results.run import Run
from harness.results.summary import AAControl, ArmFigures, Controls, DesignSummary, Echo, Percentiles, Summary
from harness.results.verdicts import Result, Verdict
from tests.support import charts
from tests.support.charts import Fake

ENVIRONMENT: Mapping[str, str | int] = {"cpu": "Some CPU", "cores": 2, "python": "3.11.7", "kernel": "Linux 6.1"}


@dataclass(frozen=True)
class Session:
    """A session. ``noise`` is the sigma of a lognormal, per arm; ``drift`` that of the machine, per round."""

    seed: int = 1
    designs: tuple[str, ...] = ("reference", "subject")
    arms: tuple[str, ...] = ("control",)
    pairs: int = 6
    noise: float = 0.01
    drift: float = 0.2
    echo_noise: float = 0.01
    speed: float = 1.0  # of the machine
    slower: Mapping[str, float] = field(default_factory=dict)  # by design, such as 1.25
    aa_slower: float = 1.0

    def side(self) -> ComparedRun:
        rng = np.random.default_rng(self.seed)
        machine = np.exp(rng.normal(0, self.drift, self.pairs)) / self.speed
        designs = {
            name: DesignSummary(
                {"replicas": 3, "balancer": "auto", "at_risk": "none"},
                {arm: self._repeated(rng, machine, arm, self.slower.get(name, 1.0)) for arm in self.arms},
                SessionOutcome.KEPT,
                "pass",
            )
            for name in self.designs
        }
        again = self._repeated(rng, machine, "control", self.slower.get(self.designs[0], 1.0) * self.aa_slower)
        echo = tuple(
            Echo(1000, 20_000 / each, 0.7 * each, 1.6 * each, 0.9)
            for each in machine * np.exp(rng.normal(0, self.echo_noise, self.pairs))
        )
        controls = Controls(None, replace(echo[0], repeats=echo), AAControl(self.designs[0], again))
        summary = Summary("made_up", f"run-{self.seed}", designs, controls, "pass")
        verdicts = tuple(Verdict("keeps", Result.PASS, "none lost", name) for name in self.designs)
        return ComparedRun(plan(summary, self.pairs), summary, verdicts)

    def _noise(self, rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
        return np.exp(rng.normal(0, self.noise, size))

    def _repeated(
        self, rng: np.random.Generator, machine: npt.NDArray[np.float64], name: str, slower: float
    ) -> ArmFigures:
        repeats = tuple(arm(name, float(speed) * slower, self._noise(rng, 4).tolist()) for speed in machine)
        return replace(repeats[0], repeats=repeats if self.pairs > 1 else ())


def arm(name: str, slower: float, noise: Sequence[float]) -> ArmFigures:
    """One arm of a design that is slower than another by a factor; each figure has its own noise."""
    figures = charts.arm(Fake("any"), name)
    throughput, p50, p99, cpu = (float(factor) for factor in noise)
    latency = Percentiles(20 * slower * p50, 25.0, 30 * slower * p99, 50.0, 60.0)
    return replace(
        figures,
        throughput=replace(figures.throughput, correct=400 / slower * throughput),
        latency_ms=latency,
        resources=replace(figures.resources, cpu_ms_per_request=0.2 * slower * cpu),
    )


def plan(summary: Summary, pairs: int) -> RunPlan:
    designs = {name: design.describe for name, design in summary.designs.items()}
    return RunPlan(
        run=summary.run,
        scenario=summary.scenario,
        path="/somewhere/made_up.py",
        sha256="5" * 64,
        seed=1,
        flags={"quick": False, "out": "somewhere"},
        load={"concurrent": 8, "duration": "2s", "kind": "closed", "warmup_s": 0.5, "duration_s": 2.0},
        arms=[(name, "control", repeat) for repeat in range(1, pairs + 1) for name in designs],
        designs=designs,
        environment=ENVIRONMENT,
        versions={"session-harness": "0.1"},
        started="2025-01-01T00:00:00+00:00",
    )


def changed(
    side: ComparedRun, design: str, index: int, change: Mapping[str, int], what: str = "sessions"
) -> ComparedRun:
    """The side with changed counts (``sessions`` or ``writes``) in one repeat of a control."""
    before = side.summary.designs[design]
    whole = before.arms["control"]
    repeats = list(whole.repeats)
    repeats[index] = replace(repeats[index], **{what: replace(getattr(repeats[index], what), **change)})
    arms = {**before.arms, "control": replace(whole, repeats=tuple(repeats))}
    designs = {**side.summary.designs, design: replace(before, arms=arms)}
    return replace(side, summary=replace(side.summary, designs=designs))


def kept(side: ComparedRun, directory: Path) -> Path:
    """The side as the directory of a run."""
    run = Run.create(directory, side.plan)
    run.keep_summary(side.summary, side.verdicts)
    return run.path
