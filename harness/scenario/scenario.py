"""A Scenario: the designs to compare, the load, the faults, and the expectations. It checks itself when it is created.

The behaviour of its users is defined in the same file (a ``SessionUser``), which is also a plain locustfile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.common.durations import parse_seconds
from harness.results.verdicts import Expectation
from harness.scenario.arm import Arm
from harness.scenario.checks import check_types, require
from harness.scenario.design import Design
from harness.scenario.expectations.errors import ControlErrors
from harness.scenario.expectations.expectation import Expect
from harness.scenario.expectations.implied import Premises, imply
from harness.scenario.faults import At, check_order
from harness.scenario.kubernetes import ATTACHED_FAULTS, Kubernetes
from harness.scenario.parts import check_options
from harness.scenario.services import BuiltIn, Url
from harness.scenario.workload import Load


@dataclass(frozen=True)
class Scenario:
    """An experiment: its designs, load, faults and expectations."""

    designs: Sequence[Design]
    load: Load
    replicas: int = 3
    faults: Sequence[At] = ()
    expect: Sequence[Expectation] = ()  # besides what is implied of every design
    errors_at_most: float = 0.01  # the share of the requests that may fail without a fault
    quick: "str | Scenario" = "5s"  # what --quick runs: this scenario shortened to a duration, or another one
    seed: int = 1

    def __post_init__(self) -> None:
        check_types(self, but=("expect",))
        require(isinstance(self.expect, Sequence), f"expect is a list, not {self.expect!r}", 'expect=[keeps("one")]')
        object.__setattr__(self, "designs", tuple(self._sized(design) for design in self.designs))
        object.__setattr__(self, "faults", tuple(sorted(self.faults, key=lambda at: at.seconds)))
        require(
            not isinstance(self.quick, str) or parse_seconds(self.quick) > 0,
            "the duration of the quick form must be above 0",
        )
        require(abs(self.seed) < 1 << 63, "a seed has at most 63 bits")
        require(len(self.designs) > 0, "a scenario needs at least one design")
        names = [design.name for design in self.designs]
        require(len(set(names)) == len(names), "two designs have the same name")
        object.__setattr__(self, "expect", tuple(_bind(expectation, names) for expectation in self.expect))
        ControlErrors(at_most=self.errors_at_most)  # checks it
        for at in self.faults:
            self._check(at, names)
        for design in self.designs:
            if isinstance(design.target, BuiltIn):
                check_options(design.target.app, design.target.state, design.target.options)
            check_order([at for at in self.faults if at.applies(design)])

    def _sized(self, design: Design) -> Design:
        size = self.replicas if design.replicas is None else design.replicas
        require(size >= 1, f"replicas must be at least 1, not {size}", "--replicas 3")
        needed = {at.fault.links for at in self.faults if at.fault.links and at.applies(design)}
        return replace(design, replicas=size, links=tuple(sorted({*design.links, *needed})))

    def _check(self, at: At, names: Sequence[str]) -> None:
        for name in at.only:
            require(
                name in names, f"{at.fault.kind} at {at.when} is only for {name!r}, which is no design", "correct only="
            )
        warmup, end = parse_seconds(self.load.warmup), parse_seconds(self.load.duration)
        require(
            warmup <= at.seconds < end,
            f"the fault {at.fault.kind} at {at.when} lies outside the measured time ({warmup:g} s to {end:g} s)",
            "faults count from the start of the load: after the warm-up, before the end",
        )
        for design in (design for design in self.designs if not at.only or design.name in at.only):
            require(
                not isinstance(design.target, Url) or at.fault.external,
                f"{at.fault.kind} at {at.when}: {design.name} runs already, so the harness cannot break it",
                'break it with a command of your own: Shell("...", undo="...")',
            )
            require(
                not isinstance(design.target, Kubernetes) or at.fault.external or at.fault.kind in ATTACHED_FAULTS,
                f"{at.fault.kind} at {at.when}: that cannot be done to a workload of Kubernetes that already runs",
                f"these can: {', '.join(ATTACHED_FAULTS)}",
            )
            if not isinstance(design.target, Kubernetes):  # how many pods a workload has, the cluster knows
                at.fault.check(design.replicas or 0)

    def expectations(self, has_ledgers: bool = True) -> tuple[Expectation, ...]:
        """What the scenario expects: what it states, and what is implied of every design.

        ``has_ledgers``: whether its users keep ledgers of their sessions, as session users do.
        """
        implied = [
            expectation
            for design in self.designs
            for expectation in imply(
                Premises(
                    design.name,
                    design.at_risk,
                    any(at.applies(design) for at in self.faults),
                    has_ledgers,
                    self.errors_at_most,
                ),
                self.expect,
            )
        ]
        return (*self.expect, *implied)

    def arms(self) -> Iterator[Arm]:
        """Every design with and without its faults. The order alternates, so a drift affects both equally."""
        for index, design in enumerate(self.designs):
            pair = [Arm(design, "control", self.load, ())]
            if faults := tuple(at for at in self.faults if at.applies(design)):
                pair.append(Arm(design, "fault", self.load, faults))
            yield from pair if index % 2 == 0 else reversed(pair)

    def rounds(self, repeat: int) -> Iterator[tuple[Arm, int]]:
        """Every arm ``repeat`` times, with the number of its round from 1; every other round is reversed (A B B A).

        If there are several rounds, each has an A/A arm: the first design's control once more, at the other end of the
        round. The difference between the two is noise.
        """
        return ((arm, number) for number in range(1, repeat + 1) for arm in self.round(number, repeat))

    def round(self, number: int, repeat: int) -> Sequence[Arm]:
        """The arms of one round of ``repeat``, in their order; rounds count from 1."""
        arms = list(self.arms())
        if repeat > 1:
            arms.append(Arm(self.designs[0], "aa", self.load, ()))
        return arms if number % 2 else arms[::-1]

    def only(self, names: Sequence[str]) -> "Scenario":
        """The scenario with only these designs, and with the faults and expectations that concern them.

        Raises:
            UsageError: the scenario has no design of that name.
        """
        known = {design.name: design for design in self.designs}
        for name in names:
            require(name in known, f"no design {name!r} in this scenario", f"it has {', '.join(known)}")
        chosen = tuple(known[name] for name in known if name in names)
        faults = tuple(kept for at in self.faults if (kept := at.among(names)) is not None)
        expect = tuple(narrowed for expectation in self.expect if (narrowed := expectation.only(names)))
        return replace(self, designs=chosen, faults=faults, expect=expect)


def _bind(expectation: Expectation, names: Sequence[str]) -> Expectation:
    """The expectation in a scenario with designs of these names."""
    require(
        hasattr(expectation, "judge") and hasattr(expectation, "only"),
        f"expect= holds {expectation!r}, which is no expectation",
        'expect=[keeps("hybrid"), clean_control("hybrid")]',
    )
    return expectation.among(names) if isinstance(expectation, Expect) else expectation
