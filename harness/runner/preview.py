"""What a run would do, without doing it: ``harness run --dry-run``."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.runner import machine_limits, pipeline, preflight
from harness.runner.progress import estimate
from harness.scenario.loading import Loaded
from harness.scenario.overrides import Overrides
from harness.scenario.services import Command


@dataclass(frozen=True)
class Preview:
    """The plan of a run: how long it takes, its designs with their arms, its faults, and the commands it would run."""

    scenario: str
    takes: str
    load: str
    designs: Mapping[str, str]
    faults: Sequence[str]
    commands: Sequence[str]
    attached: Sequence[str]  # what would be done to workloads that already run

    def lines(self) -> Iterator[str]:
        """As text."""
        yield f"{self.scenario}: {self.takes}; {self.load}"
        yield from (f"  {name}: {what}" for name, what in self.designs.items())
        yield from (f"  {fault}" for fault in self.faults)
        yield from (f"  will run: {command}" for command in self.commands)
        yield from (f"  {line}" for line in self.attached)


def preview(loaded: Loaded, changes: Overrides) -> Preview:
    """Check everything that a run checks before it starts, and describe the run.

    Raises:
        HarnessError: the run would not start.
    """
    scenario = changes.apply(loaded.scenario)
    machine_limits.require(scenario, changes.drivers)
    preflight.require(scenario, changes.backend, changes.access)
    arms: dict[str, list[str]] = {}
    for arm in scenario.arms():
        arms.setdefault(arm.design.name, []).append(arm.name)
    targets = {design.name: design.target for design in scenario.designs}
    services = [shlex.join(target.words()) for target in targets.values() if isinstance(target, Command)]
    return Preview(
        loaded.name,
        estimate(scenario, changes.repeat),
        f"{scenario.load.kind} load for {scenario.load.duration} per arm",
        {
            design.name: f"{', '.join(f'{key} {value}' for key, value in design.describe().items())}"
            f" ({' and '.join(arms[design.name])} arm)"
            for design in scenario.designs
        },
        [f"at {at.when}: {at.fault.kind} of {at.fault.target}" for at in scenario.faults],
        [*dict.fromkeys([*services, *pipeline.shell_commands(loaded, changes)])],
        pipeline.survey_attachments(loaded, changes),
    )
