"""A Scenario: the designs to compare, the load, the faults, what is expected. Frozen, and checked when made.

The users' behaviour stands in the same file (a ``SessionUser``), which is also a plain locustfile.
"""

import hashlib
import importlib.util
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness import pace
from harness.bundled import scenarios_home, targets_home
from harness.driving import ALONE, Driving
from harness.duration import seconds
from harness.errors import UsageError
from harness.limits import UNLIMITED, Limits
from harness.pace import Rate, Trace
from harness.targets import Command, Compose, Target, Url
from harness.verdicts import Expectation

#: Those that choose a replica for each request; then those that keep a client, or its key, with one.
SPREADING = ("round_robin", "least_connections")
CONNECTION = "connection"  # TCP alone is balanced: whatever comes on one connection goes to one replica
PINNING = ("cookie", "hash_cookie", "hash_header", "modulo_header", "maglev_header", "source", CONNECTION)
POLICIES = SPREADING + PINNING


def _require(holds: bool, message: str, hint: str = "docs/scenarios.md says what each value may be") -> None:
    if not holds:
        raise UsageError(message, hint)


def _check_part(kind: str, name: str) -> None:
    known = parts(kind)
    _require(name in known, f"there is no {kind} {name!r}", f"there are {', '.join(known)}")


def parts(kind: str) -> tuple[str, ...]:
    """The names of the parts of a ``kind``: a built-in target's app or state, or a store. Each is a file."""
    folder = Path(__file__).parent / "stores"
    if kind != "store":
        folder = targets_home() / "targets" / {"app": "apps", "state": "state"}[kind]
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))


@dataclass(frozen=True)
class Health:
    """How a balancer learns of a death: ``fall`` failures in a row, ``interval`` apart; ``rise`` successes undo it.

    ``path`` is what it asks for, well with 200 to 399; None: an open port is enough. A target of the user's own says
    it (``ready``).
    """

    interval: str = "500ms"
    fall: int = 2
    rise: int = 1
    path: str | None = "/healthz"

    def __post_init__(self) -> None:
        _require(seconds(self.interval) > 0, "a health check needs an interval above 0")
        _require(self.fall >= 1 and self.rise >= 1, "fall and rise are at least 1")


@dataclass(frozen=True)
class Balancing:
    """A balancer and its policy, with all that decides what a client sees when a replica dies.

    ``retries`` are tries after a failed *connect* (safe for writes: nothing was sent); ``redispatch`` lets such a
    retry, and a request pinned to a dead replica, go to another one. ``key`` names the hash policies' cookie or header.
    ``names`` has the balancer tell who answered (``X-Replica``), where a target of the user's own cannot.
    """

    policy: str = "round_robin"
    name: str = "auto"  # auto | haproxy | nginx | envoy | traefik | caddy
    key: str = "session"
    health: Health = Health()
    retries: int = 1
    redispatch: bool = True
    names: bool = False

    def __post_init__(self) -> None:
        _require(self.policy in POLICIES, f"unknown balancing policy {self.policy!r}", f"one of {', '.join(POLICIES)}")
        _require(0 <= self.retries <= 10, "retries lie between 0 and 10")

    @property
    def affinity(self) -> bool:
        """Whether one session's requests go to one replica."""
        return self.policy in PINNING


@dataclass(frozen=True)
class Design:
    """One thing compared: an app, where its state lives, a balancer and its policy.

    ``target`` is a service of the user's own in place of the built-in one, of which app, state, service time, slots and
    options speak. ``options`` reach that as ``--option key=value`` (a state's or an app's own settings). ``at_risk`` is
    the design's theory of a killed replica: ``victim`` (the sessions it held), ``none``, or ``None`` where it has none.
    """

    name: str
    app: str = "cart"
    state: str = "memory"
    balancing: Balancing = Balancing()
    replicas: int | None = None  # None: the scenario's
    service_time: str = "0s"
    slots: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    at_risk: str | None = None
    target: Target | None = None  # None: the built-in one
    limits: Limits = UNLIMITED  # of each replica, on a backend that keeps it to them
    links: tuple[str, ...] = ()  # balancer, store: where a proxy lies between it and the replicas, for faults of links

    def __post_init__(self) -> None:
        _require(self.name.isidentifier(), f"a design's name is one word, not {self.name!r}", "letters, digits and _")
        _require(self.replicas is None or self.replicas >= 1, "replicas must be at least 1")
        _require(seconds(self.service_time) >= 0 and self.slots >= 1, "service_time is not negative, slots at least 1")
        _require(self.at_risk in (None, "none", "victim"), f"at_risk is none, victim or None, not {self.at_risk!r}")
        _require(set(self.links) <= {"balancer", "store"}, f"links are balancer and store, not {self.links!r}")
        if self.target is not None and not isinstance(self.target, Url) and self.target.store is not None:
            _check_part("store", self.target.store)
        if self.target is None:
            _check_part("app", self.app)
            _check_part("state", self.state)

    def describe(self) -> dict[str, str | int | float]:
        """The design in plain values, for run.json and the report."""
        if isinstance(self.target, Url):
            return self.target.describe()
        built_in: dict[str, str | int | float] = {
            "app": self.app,
            "state": self.state,
            "service_time_s": seconds(self.service_time),
            "slots": self.slots,
            **{f"option_{key}": value for key, value in self.options.items()},
        }
        return {
            **(self.target.describe() if self.target else built_in),
            "policy": self.balancing.policy,
            "balancer": self.balancing.name,
            "retries": self.balancing.retries,
            "redispatch": self.balancing.redispatch,
            "health_interval_s": seconds(self.balancing.health.interval),
            "health_fall": self.balancing.health.fall,
            "replicas": self.replicas or 0,
            "at_risk": self.at_risk or "unstated",
            "links": ", ".join(self.links),
            **self.limits.describe(),
        }


@dataclass(frozen=True)
class Sessions:
    """Closed load (``concurrent`` users, one session after another) or partly open (``rate`` sessions a second).

    A rate may have a shape: ``Ramp``, ``Steps`` or ``Trace``.
    """

    concurrent: int | None = None
    rate: Rate | None = None
    duration: str = "20s"
    warmup: str = "2s"
    arrivals: str = "poisson"  # of a partly-open load: poisson | constant

    def __post_init__(self) -> None:
        _require((self.concurrent is None) != (self.rate is None), "Sessions takes either concurrent= or rate=")
        _require(self.concurrent is None or self.concurrent >= 1, "concurrent sessions are at least 1")
        _check_load(self.rate, self.duration, self.warmup, self.arrivals)

    @property
    def kind(self) -> str:
        """The workload's name in the literature."""
        return "closed" if self.rate is None else "partly_open"


@dataclass(frozen=True)
class Requests:
    """Open load: ``rate`` requests a second arrive, whatever the service does, spread over ``sessions`` sessions.

    A rate may have a shape: ``Ramp``, ``Steps`` or ``Trace``.
    """

    rate: Rate
    sessions: int = 200
    duration: str = "20s"
    warmup: str = "2s"
    arrivals: str = "poisson"

    def __post_init__(self) -> None:
        _require(self.sessions >= 1, "sessions are at least 1")
        _check_load(self.rate, self.duration, self.warmup, self.arrivals)

    @property
    def kind(self) -> str:
        """The workload's name in the literature."""
        return "open"


Load = Sessions | Requests


def _check_load(rate: Rate | None, duration: str, warmup: str, arrivals: str) -> None:
    pace.check(rate)
    _require(0 <= seconds(warmup) < seconds(duration), f"the warm-up ({warmup}) lies inside the duration ({duration})")
    _require(arrivals in ("poisson", "constant"), f"arrivals are poisson or constant, not {arrivals!r}")


class Fault(Protocol):
    """One thing that breaks, as data: ``faults/`` turns it into deeds."""

    @property
    def kind(self) -> str:
        """Its name in files and reports."""

    @property
    def target(self) -> str:
        """The part it concerns, such as ``r1``."""

    def check(self, replicas: int) -> None:
        """Raise UsageError where it cannot apply to a topology of this size."""


@dataclass(frozen=True)
class At:
    """A fault at a time, counted from T0; in the designs named by ``only``, or in all of them."""

    when: str
    fault: Fault
    only: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """When, in seconds from T0."""
        return seconds(self.when)


def _applies(at: At, design: Design) -> bool:
    """Whether the fault is meant for this design, and it has what the fault breaks; most concern what all have."""
    applies: Callable[[Design], bool] | None = getattr(at.fault, "applies", None)
    return (not at.only or design.name in at.only) and (applies is None or applies(design))


def _left(only: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...] | None:
    """Which of the chosen designs a fault is only for; None where it is for none of them."""
    return tuple(name for name in only if name in names) or (None if only else ())


def _check_order(faults: Sequence[At]) -> None:
    """What ends a fault comes after it, and nothing is broken twice at once."""
    broken: set[tuple[str, str]] = set()
    for at in faults:
        if getattr(at.fault, "passes", False):
            continue  # over when it is done
        ends = getattr(at.fault, "ends", None)
        about = (ends or at.fault.kind, at.fault.target)
        if ends is None:
            _require(about not in broken, f"{about[1]} is broken twice: a second {about[0]} at {at.when}")
            broken.add(about)
        else:
            _require(about in broken, f"{at.fault.kind} of {about[1]} at {at.when} has no {ends} before it to end")
            broken.remove(about)


@dataclass(frozen=True)
class Arm:
    """A design with or without its faults: what is run once."""

    design: Design
    name: str  # fault | control | aa (the control again, to be compared with itself)
    load: Load
    faults: tuple[At, ...]

    @property
    def seconds(self) -> float:
        """How long the load lasts, warm-up included."""
        return seconds(self.load.duration)

    @property
    def warmup(self) -> float:
        """The seconds at the beginning that do not count."""
        return seconds(self.load.warmup)


@dataclass(frozen=True)
class Scenario:
    """An experiment: its designs, load, faults and expectations."""

    designs: Sequence[Design]
    load: Load
    replicas: int = 3
    faults: Sequence[At] = ()
    expect: Sequence[Expectation] = ()
    quick: "Scenario | None" = None  # what --quick runs in its place
    seed: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "designs", tuple(self._sized(design) for design in self.designs))
        object.__setattr__(self, "faults", tuple(sorted(self.faults, key=lambda at: at.seconds)))
        object.__setattr__(self, "expect", tuple(self.expect))
        _require(len(self.designs) > 0, "a scenario needs at least one design")
        names = [design.name for design in self.designs]
        _require(len(set(names)) == len(names), "two designs have the same name")
        for at in self.faults:
            self._check(at, names)
        for design in self.designs:
            _check_order([at for at in self.faults if _applies(at, design)])

    def _sized(self, design: Design) -> Design:
        size = self.replicas if design.replicas is None else design.replicas
        _require(size >= 1, f"replicas must be at least 1, not {size}", "--replicas 3")
        needed = {str(at.fault.links) for at in self.faults if hasattr(at.fault, "links") and _applies(at, design)}
        return replace(design, replicas=size, links=tuple(sorted({*design.links, *needed})))

    def _check(self, at: At, names: Sequence[str]) -> None:
        for name in at.only:
            _require(
                name in names, f"{at.fault.kind} at {at.when} is only for {name!r}, which is no design", "mend only="
            )
        warmup, end = seconds(self.load.warmup), seconds(self.load.duration)
        _require(
            warmup <= at.seconds < end,
            f"the fault {at.fault.kind} at {at.when} lies outside the measured time ({warmup:g} s to {end:g} s)",
            "faults count from the start of the load: after the warm-up, before the end",
        )
        for design in (one for one in self.designs if not at.only or one.name in at.only):
            _require(
                not isinstance(design.target, Url) or getattr(at.fault, "ends", at.fault.kind) == "shell",
                f"{at.fault.kind} at {at.when}: {design.name} runs already, and is not ours to break",
                'break it by a command of yours: Shell("...", undo="...")',
            )
            at.fault.check(design.replicas or 0)

    def arms(self) -> Iterator[Arm]:
        """Every design with and without its faults; the order alternates so that a drift hits both alike."""
        for index, design in enumerate(self.designs):
            pair = [Arm(design, "control", self.load, ())]
            if faults := tuple(at for at in self.faults if _applies(at, design)):
                pair.append(Arm(design, "fault", self.load, faults))
            yield from pair if index % 2 == 0 else reversed(pair)

    def rounds(self, repeat: int) -> Iterator[tuple[Arm, int]]:
        """Every arm ``repeat`` times, with its number from 1; every other round runs backwards (A B B A).

        What is repeated can be compared, so each round then holds an A/A arm: the first design's control once more,
        at the other end of the round. What those two differ by is noise.
        """
        arms = list(self.arms())
        if repeat > 1:
            arms.append(Arm(self.designs[0], "aa", self.load, ()))
        for nth in range(1, repeat + 1):
            yield from ((arm, nth) for arm in (arms if nth % 2 else reversed(arms)))

    def only(self, names: Sequence[str]) -> "Scenario":
        """The scenario with these designs alone, and the expectations that concern them.

        Raises:
            UsageError: a name is no design of this scenario.
        """
        known = {design.name: design for design in self.designs}
        for name in names:
            _require(name in known, f"no design {name!r} in this scenario", f"it has {', '.join(known)}")
        chosen = tuple(known[name] for name in known if name in names)
        faults = tuple(replace(at, only=only) for at in self.faults if (only := _left(at.only, names)) is not None)
        expect = tuple(e for e in (e.only(names) for e in self.expect) if e)
        return replace(self, designs=chosen, faults=faults, expect=expect)


@dataclass(frozen=True)
class Overrides:
    """What the command line changes of a scenario; None leaves it as the file says."""

    designs: tuple[str, ...] = ()
    replicas: int | None = None
    balancer: str | None = None
    users: int | None = None
    rate: float | None = None
    duration: str | None = None
    seed: int | None = None
    quick: bool = False
    repeat: int = 1
    allow_hosts: tuple[str, ...] = ()
    driving: Driving = ALONE
    backend: str = "process"
    limits: Limits = UNLIMITED

    def __post_init__(self) -> None:
        _require(self.repeat >= 1, "repeat must be at least 1", "--repeat 3 runs everything three times")
        _require(self.users is None or self.users >= 1, "users must be at least 1")
        _require(self.rate is None or self.rate > 0, "a rate is above 0")

    def apply(self, scenario: Scenario) -> Scenario:
        """The scenario as it will run.

        Raises:
            UsageError: the result does not check.
        """
        chosen = scenario.quick if self.quick and scenario.quick else scenario
        chosen = chosen.only(self.designs) if self.designs else chosen
        size = chosen.replicas if self.replicas is None else self.replicas
        self._check_hosts(chosen)
        return replace(
            chosen,
            designs=tuple(self._design(design) for design in chosen.designs),
            replicas=size,
            load=self._load(chosen.load),
            seed=chosen.seed if self.seed is None else self.seed,
        )

    def _check_hosts(self, scenario: Scenario) -> None:
        for design in scenario.designs:
            for host in design.target.foreign_hosts if isinstance(design.target, Url) else ():
                _require(
                    host in self.allow_hosts,
                    f"{design.name} would load {host}, which is not this machine",
                    f"if it is yours to load: --allow-host {host}",
                )

    def _design(self, design: Design) -> Design:
        size = design.replicas if self.replicas is None else self.replicas
        name = design.balancing.name if self.balancer is None else self.balancer
        limits = self.limits if self.limits.any else design.limits
        return replace(design, replicas=size, balancing=replace(design.balancing, name=name), limits=limits)

    def _load(self, load: Load) -> Load:
        duration = load.duration if self.duration is None else self.duration
        if self.rate is not None and isinstance(load, Sessions):
            return Requests(self.rate, load.concurrent or 200, duration, load.warmup, load.arrivals)
        if isinstance(load, Requests):
            sessions = load.sessions if self.users is None else self.users
            return replace(load, rate=self.rate or load.rate, sessions=sessions, duration=duration)
        if self.users is not None:
            return replace(load, concurrent=self.users, rate=None, duration=duration)
        return replace(load, duration=duration)


@dataclass(frozen=True)
class Loaded:
    """A scenario read from its file."""

    scenario: Scenario
    path: Path
    sha256: str
    users: Path  # the file of their behaviour: mostly the same

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def load(path: Path, otherwise: "Scenario | None" = None) -> Loaded:
    """Import a scenario file (without Locust's monkey-patching) and take its ``SCENARIO``.

    One that comes with the harness is found by its name alone: ``node_kill``.

    ``otherwise`` is the scenario of a file that has none, such as a plain locustfile. A file without users is run with
    the probe (``harness.probing``).

    Raises:
        UsageError: no such file, it does not import, has no ``SCENARIO`` and there is none ``otherwise``, or has both.
    """
    bundled = scenarios_home() / f"{path.stem}.py"
    if not path.is_file() and path.parent in (Path(), Path("scenarios")) and bundled.is_file():
        path = bundled
    _require(path.is_file(), f"no scenario file {path}", "harness list scenarios shows the ones that come with it")
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
    module = _imported(path)
    scenario = getattr(module, "SCENARIO", otherwise)
    if not isinstance(scenario, Scenario):
        raise UsageError(
            f"{path} defines no SCENARIO",
            "add SCENARIO = Scenario(designs=[...], load=Sessions(...)), or say how to start the service: --command",
        )
    _require(
        otherwise in (None, scenario),
        f"{path} has a SCENARIO of its own, which says what is run",
        "leave out --command",
    )
    users = path.resolve() if _users(module) else PROBING
    base = path.resolve().parent if otherwise is None else Path.cwd()
    return Loaded(located(scenario, base), path.resolve(), _sha256(path), users)


#: The users of a file that has none.
PROBING = Path(__file__).with_name("probing.py")


def user_classes(path: Path) -> list[type]:
    """The users of a file, in its order.

    Raises:
        UsageError: it does not import.
    """
    return _users(_imported(path))


def _users(module: object) -> list[type]:
    """Whom Locust finds there to spawn; asked without importing it."""
    kinds = [one for one in vars(module).values() if isinstance(one, type)]
    return [kind for kind in kinds if hasattr(kind, "wait_time") and getattr(kind, "abstract", True) is False]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def located(scenario: Scenario, base: Path) -> Scenario:
    """The scenario with the directories of its commands, and the path of its trace, counted from ``base``."""

    def design(one: Design) -> Design:
        return replace(one, target=one.target.located(base)) if isinstance(one.target, Command | Compose) else one

    load = scenario.load
    if isinstance(load.rate, Trace):
        load = replace(load, rate=load.rate.located(base))
    quick = located(scenario.quick, base) if scenario.quick else None
    return replace(scenario, designs=[design(one) for one in scenario.designs], load=load, quick=quick)


def _imported(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"harness_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as Locust does: its neighbours are there to import
    try:
        spec.loader.exec_module(module)
    except UsageError as problem:
        raise UsageError(f"{path}: {problem.message}", problem.hint) from problem
    except SyntaxError as problem:
        raise UsageError(f"{path}:{problem.lineno}: {problem.msg}", "mend the syntax and try again") from problem
    except Exception as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        raise UsageError(
            f"{path} does not import: {problem!r} (line {where.lineno} of {Path(where.filename).name})",
            f"mend it; python {path} shows the whole trace",
        ) from problem
    finally:
        sys.path.remove(folder)
    return module


def recorded(source: str, flags: Mapping[str, object]) -> tuple[Expectation, ...]:
    """The expectations of a scenario whose text and flags a run kept; none where the text no longer imports."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "recorded_scenario.py"
        path.write_text(source)
        try:
            scenario = load(path).scenario
        except UsageError:
            return ()
    designs = flags.get("design")
    hosts = flags.get("allow_host")
    changes = Overrides(
        tuple(designs) if isinstance(designs, list) else (),
        quick=bool(flags.get("quick")),
        allow_hosts=tuple(hosts) if isinstance(hosts, list) else (),
    )
    return tuple(changes.apply(scenario).expect)
