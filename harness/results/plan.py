"""The plan of a run: the content of run.json, written before anything is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.common.durations import MAX_SECONDS
from harness.results.files import Scalar
from harness.results.names import check_name
from harness.results.summary import SCHEMA

ARMS = ("fault", "control", "aa")
_MAX_REPEATS = 100_000
#: What is calculated with, of the facts of a design.
_NUMBERS = frozenset(("service_time_s", "slots", "replicas"))
_MAX_NUMBER = 1e6
#: A value of the load: a number, or the shape of a rate (``rates.describe``).
LoadValue = Scalar | Mapping[str, Mapping[str, Scalar | Sequence[Sequence[Scalar]]]]


@dataclass(frozen=True)
class RunPlan:
    """What is going to be run, and where it is measured. Names in it that become paths are checked."""

    run: str
    scenario: str
    path: str
    sha256: str
    seed: int
    flags: Mapping[str, Scalar | Sequence[Scalar]]
    load: Mapping[str, LoadValue]
    arms: Sequence[tuple[str, str, int]]  # (design, arm, repeat from 1), in the order they run
    designs: Mapping[str, Mapping[str, str | int | float | bool]]
    environment: Mapping[str, Scalar]
    versions: Mapping[str, str]
    started: str
    expect: Sequence[Mapping[str, Scalar | Sequence[Scalar]]] | None = (
        None  # scenario.expectations.encode wrote it; None: an older run
    )
    balancers: Mapping[str, str] = field(default_factory=dict)  # by design, with its version: haproxy 2.8.5
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for what, name in (("the scenario", self.scenario), ("the run", self.run)):
            check_name(name, what)
        for name, facts in self.designs.items():
            check_name(name, "a design")
            for key in _NUMBERS & facts.keys():
                if not 0 <= _number(facts[key]) <= _MAX_NUMBER:
                    raise ValueError(f"no design has {key} {facts[key]!r}"[:200])
        for design, arm, repeat in self.arms:
            if design not in self.designs or arm not in ARMS or not 1 <= repeat <= _MAX_REPEATS:
                raise ValueError(f"no arm of a design: {design[:60]!r}, {arm[:60]!r}, {repeat}")
        if not 0 <= self.warmup_s <= self.duration_s <= MAX_SECONDS or not isinstance(self.load.get("kind"), str):
            raise ValueError("the load has no kind, or its warm-up does not lie inside its duration")

    @property
    def must_fail(self) -> frozenset[str]:
        """The positive controls: designs in which the run has to find something."""
        finds = [each.get("designs") for each in self.expect or () if each.get("expect") == "finds"]
        return frozenset(str(name) for names in finds if isinstance(names, list | tuple) for name in names)

    @property
    def warmup_s(self) -> float:
        """The beginning of each arm that is not measured."""
        return _number(self.load.get("warmup_s"))

    @property
    def duration_s(self) -> float:
        """The length of each arm, warm-up included."""
        return _number(self.load.get("duration_s"))


def _number(value: LoadValue) -> float:
    """A number as it is; -1 for anything else."""
    return value if isinstance(value, int | float) else -1.0
