"""Services with seeded bugs, in memory and in SQLite: what the harness counts is what they logged, or it does not know.

Never is a session kept to which something happened, and never does a run of one kind of bug alone pass.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.analysis.findings import summarize_finding
from harness.analysis.metrics.fold import fold
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations
from harness.results.run import Run
from harness.results.summary import Controls, DesignSummary, Summary
from harness.results.verdicts import Result, Verdict
from harness.scenario import loading
from tests.services.buggy import BUGS, bug_of
from tests.support.harness_command import ROOT, harness

pytestmark = pytest.mark.slow

SCENARIO = """
import os
from pathlib import Path

from locust import constant

from harness import Balancing, Command, Design, Observed, Scenario, Sessions, SessionUser
from harness.oracle.models import log

LOGS = Path(os.environ["SEEDED_LOGS"])


class Writer(SessionUser):
    model, wait_time = log, constant(0.005)

    def observe(self, reply):
        shown = reply.json()
        return Observed(shown["birth"], shown["owner"], shown["entries"]) if "entries" in shown else None

    def session(self, client):
        for number in range(1, 8):
            value = f"{client.user}-{number}"
            yield client.post("/entries", json={"value": value}, writes=value)
            yield client.get("/entries")

    def final(self, client):
        return client.get("/entries")


def design(store):
    env = {"STORE": store, "LOG": str(LOGS / store)}
    service = Command("PYTHON tests/services/buggy.py", ready="/health", env=env, cwd="ROOT")
    return Design(store, service, Balancing("round_robin"), replicas=1)


SCENARIO = Scenario(
    designs=[design("memory"), design("sqlite")],
    load=Sessions(concurrent=26, duration="5s", warmup="0s"),
)
"""


@dataclass
class Truth:
    """What a service logged of one session."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    reads: list[tuple[str, str, list[str]]] = field(default_factory=list)  # owner, birth, entries
    logins: int = 0

    @property
    def contents(self) -> list[str]:
        """What it held at the end."""
        return self.reads[-1][2] if self.reads else []

    @property
    def leaked(self) -> bool:
        return len({owner for owner, _, _ in self.reads}) > 1

    @property
    def lost(self) -> int:
        return sum(value not in self.contents for value in self.acknowledged)

    @property
    def duplicates(self) -> int:
        return len(self.contents) - len(set(self.contents))

    @property
    def stale(self) -> bool:
        """Whether a read lacked what the read before it, or the one at the end, had."""
        earlier: set[str] = set()
        for _, _, entries in self.reads:
            if earlier - set(entries):
                return True
            earlier |= set(entries)
        return False

    @property
    def applied_though_refused(self) -> bool:
        return any(value in self.contents for value in self.refused)

    @property
    def disordered(self) -> bool:
        own = [value for value in dict.fromkeys(self.contents) if value in self.acknowledged]
        return own != sorted(own, key=self.acknowledged.index)

    @property
    def anomalous(self) -> bool:
        happened = (self.leaked, self.lost, self.duplicates, self.stale, self.logins, self.applied_though_refused)
        return any(happened) or self.disordered


def read_log(path: Path) -> dict[str, Truth]:
    """What was logged, by owner."""
    truths: dict[str, Truth] = defaultdict(Truth)
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        truth = truths[entry["owner"]]
        if "written" in entry:
            target = {200: truth.acknowledged, 409: truth.refused}.get(entry["status"])
            if target is not None:
                target.append(entry["written"])
        if entry.get("status") == 401 or ("shown" in entry and entry["shown"] is None):
            truth.logins += 1
        elif "shown" in entry:
            truth.reads.append((entry["of"], entry["birth"], entry["shown"]))
    return dict(truths)


@dataclass(frozen=True)
class Seeded:
    """One design: what the harness observed, and what the service logged."""

    observed: ArmObservations
    truths: dict[str, Truth]
    scenario: loading.Loaded

    def sessions(self, bug: str) -> Iterator[tuple[SessionVerdict, Truth]]:
        for verdict in self.observed.judgements:
            if bug_of(verdict.owner) == bug and verdict.owner in self.truths:
                yield verdict, self.truths[verdict.owner]

    def judge_alone(self, bug: str) -> list[Verdict]:
        """What would not have passed, had the run had no sessions but those with this bug."""
        own = [verdict for verdict, _ in self.sessions(bug)]
        requests = self.observed.requests
        rows = requests[requests["session"].isin([verdict.session for verdict in own])]
        arms = {"control": fold(replace(self.observed, judgements=tuple(own), requests=rows, driver={}))}
        design = DesignSummary({}, arms, summarize_finding(arms))
        summary = Summary("s", "r", {self.observed.design: design}, Controls(None, None))
        expectations = self.scenario.scenario.only([self.observed.design]).expectations()
        verdicts = [verdict for expectation in expectations for verdict in expectation.judge(summary)]
        return [verdict for verdict in verdicts if verdict.result is not Result.PASS]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seeded]:
    """Both services under load once."""
    place = tmp_path_factory.mktemp("seeded")
    file = place / "seeded.py"
    file.write_text(SCENARIO.replace("PYTHON", sys.executable).replace("ROOT", str(ROOT)))
    env = {"SEEDED_LOGS": str(place), "PYTHONPATH": str(ROOT)}
    result = harness("run", file, "--out", place / "results", env=env, timeout=240)
    assert result.code == 1, result.out + result.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDED_LOGS", str(place))
        scenario = loading.load(file)
    observations = Run.open(place / "results" / "seeded" / "latest").read_observations()
    return {arm.design: Seeded(arm, read_log(place / arm.design), scenario) for arm in observations}


STORES = ("memory", "sqlite")


@pytest.mark.parametrize("store", STORES)
def test_every_bug_was_met_by_several_sessions(seeded: dict[str, Seeded], store: str) -> None:
    for bug in BUGS:
        met = [truth for _, truth in seeded[store].sessions(bug) if truth.anomalous]
        assert (len(met) >= 2) == (bug != "none"), (bug, len(met))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("bug", BUGS)
def test_what_is_counted_is_what_the_service_logged(seeded: dict[str, Seeded], bug: str, store: str) -> None:
    wrong = [
        (verdict, truth)
        for verdict, truth in seeded[store].sessions(bug)
        if not (verdict.unknown or verdict.unexplained or counts_agree(verdict, truth))
    ]
    assert not wrong, wrong[:2]


def counts_agree(verdict: SessionVerdict, truth: Truth) -> bool:
    """What another session's state shows says nothing of one's own."""
    if verdict.leaked or truth.leaked:
        return verdict.leaked == truth.leaked
    logins = verdict.forced_login == (truth.logins > 0)
    return logins and (verdict.lost_writes, verdict.duplicates) == (truth.lost, truth.duplicates)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("bug", BUGS)
def test_no_session_is_kept_to_which_something_happened(seeded: dict[str, Seeded], bug: str, store: str) -> None:
    sessions = list(seeded[store].sessions(bug))
    kept = [(verdict, truth) for verdict, truth in sessions if verdict.outcome is SessionOutcome.KEPT]
    assert not [(verdict, truth) for verdict, truth in kept if truth.anomalous]
    assert _owners(verdict for verdict, truth in sessions if not truth.anomalous) == _owners(v for v, _ in kept)


def _owners(verdicts: Iterator[SessionVerdict]) -> Sequence[str]:
    return sorted(verdict.owner for verdict in verdicts)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("bug", BUGS)
def test_no_bug_alone_ends_green(seeded: dict[str, Seeded], bug: str, store: str) -> None:
    failed = seeded[store].judge_alone(bug)
    assert bool(failed) == (bug != "none"), failed


def test_a_service_that_answers_404_to_all_does_not_pass(tmp_path: Path) -> None:
    """The users of the harness find nothing at ``/``: that is what hurts, and the reason why nothing was judged."""
    program = f"{sys.executable} {ROOT / 'tests' / 'services' / 'absent.py'}"
    flags = ("--command", program, "--ready", "/health", "--users", "5", "--duration", "2s", "--replicas", "1")
    result = harness("run", *flags, "--out", tmp_path, env={"COLUMNS": "200"}, timeout=180)
    run = Run.open(tmp_path / "service" / "latest")
    (arm,) = run.read_summary().designs["service"].arms.values()
    assert result.code == 1, result.out + result.err
    assert (arm.sessions.judged, arm.requests.ok) == (0, 0)
    requests = f"{arm.requests.attempted:,}"
    hurts = f"{requests} of {requests} GET / answered 404"
    assert result.out.startswith(f"service: {hurts}; no session was judged; 5 sessions had no final read")
    results = {verdict.check: verdict for verdict in run.read_verdicts()}
    assert results["control_errors"].result is Result.FAIL
    assert hurts in results["control_errors"].why
    assert results["clean_control"].result is Result.UNKNOWN
    assert results["clean_control"].why.startswith("no session could be judged; 5 sessions had no final read")
