"""The two sides of a comparison, each a run or a baseline, and what keeps them from being compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.results.plan import RunPlan
from harness.results.run import Run
from harness.results.summary import ArmFigures, Echo, Summary
from harness.results.verdicts import Verdict

#: The facts that identify a machine. Python counts to its minor version.
_MACHINE = ("cpu", "cores", "python")
#: What of a design is a condition of the measurement; the rest of it may be what changed.
_CONDITIONS = ("replicas", "balancer")


@dataclass(frozen=True)
class ComparedRun:
    """The part of a run that a comparison reads. ``also`` are runs of the same build in other sessions."""

    plan: RunPlan
    summary: Summary
    verdicts: tuple[Verdict, ...]
    also: tuple["ComparedRun", ...] = ()

    @classmethod
    def read(cls, path: Path, also: Sequence[Path] = ()) -> Self:
        """Read the directory of a run, or of a baseline that was accepted from one.

        Raises:
            UsageError: one of them is neither, is cut off, or has another schema.
        """
        run = Run.open(path)
        return cls(run.plan, run.read_summary(), run.read_verdicts(), tuple(cls.read(other) for other in also))

    @property
    def sessions(self) -> tuple["ComparedRun", ...]:
        """This run and the others, each a session of the machine."""
        return (self, *self.also)

    @property
    def all_verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of every session."""
        return tuple(verdict for session in self.sessions for verdict in session.verdicts)

    @property
    def reference(self) -> str:
        """The design that the others are divided by: the first."""
        return next(iter(self.plan.designs))

    def arm(self, design: str, arm: str) -> ArmFigures | None:
        """An arm's figures, or None if it did not run."""
        summary = self.summary.designs.get(design)
        return summary.arms.get(arm) if summary else None

    def aa_arm(self) -> ArmFigures | None:
        """The A/A arm: the reference design's control once more."""
        aa = self.summary.controls.aa
        return aa.arm if aa else None

    def list_repeats(self, design: str, name: str) -> tuple[ArmFigures, ...]:
        """All that every session measured of an arm; of the reference's control the A/A arm too, which is the same."""
        arms = [session.arm(design, name) for session in self.sessions]
        if name == "control" and design == self.reference:
            arms += [session.aa_arm() for session in self.sessions]
        return tuple(repeat for arm in arms if arm for repeat in arm.repeats or (arm,))

    def list_echoes(self) -> tuple[Echo | None, ...]:
        """The echo of each round; None for a round whose echo broke."""
        echo = self.summary.controls.echo
        return (echo.repeats or (echo,)) if echo else ()


def find_experiment_differences(run: ComparedRun, baseline: ComparedRun) -> tuple[str, ...]:
    """How the experiments differ, those of all sessions: each of these leaves nothing to compare."""
    return _compare_sessions(run, baseline, _describe_experiment)


def find_machine_differences(run: ComparedRun, baseline: ComparedRun) -> tuple[str, ...]:
    """How the machines differ: counts can be compared all the same, times cannot."""
    return _compare_sessions(run, baseline, _describe_machine)


def find_other_differences(run: ComparedRun, baseline: ComparedRun) -> tuple[str, ...]:
    """What else differs, which may be what is being compared."""
    return tuple(_list_differences(_describe_build(run.plan), _describe_build(baseline.plan)))


def _compare_sessions(
    run: ComparedRun, baseline: ComparedRun, describe: Callable[[RunPlan], dict[str, Any]]
) -> tuple[str, ...]:
    """What sets any session of either side apart from the baseline's first, each difference once."""
    theirs = describe(baseline.plan)
    others = (*run.sessions, *baseline.also)
    return tuple(dict.fromkeys(why for each in others for why in _list_differences(describe(each.plan), theirs)))


def _list_differences(run: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(run.keys() | baseline.keys()):
        ours, theirs = run.get(key), baseline.get(key)
        if ours != theirs:
            yield f"{key} is {_shorten(ours)}, the baseline's is {_shorten(theirs)}"


def _shorten(value: object) -> str:
    text = "unknown" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text  # a SHA-256


def _describe_experiment(plan: RunPlan) -> dict[str, Any]:
    return {
        "the scenario": plan.scenario,
        "the scenario's SHA-256": plan.sha256,
        "--quick": bool(plan.flags.get("quick")),
        "the list of designs": ", ".join(plan.designs),
        **{f"the load's {key}": value for key, value in plan.load.items()},
        **{f"{key} of {name}": design.get(key) for name, design in plan.designs.items() for key in _CONDITIONS},
    }


def _describe_machine(plan: RunPlan) -> dict[str, Any]:
    machine = {key: plan.environment.get(key) for key in _MACHINE}
    return {**machine, "python": ".".join(str(machine["python"]).split(".")[:2])}


def _describe_build(plan: RunPlan) -> dict[str, Any]:
    designs = {
        f"{key} of {name}": value
        for name, design in plan.designs.items()
        for key, value in design.items()
        if key not in _CONDITIONS
    }
    return {**designs, **{f"the version of {name}": version for name, version in plan.versions.items()}}
