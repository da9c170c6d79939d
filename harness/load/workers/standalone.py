"""Sessions under plain ``locust -f``, without the harness: no spool, and a verdict as text at the end."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import gevent
from locust.runners import WorkerRunner

from harness.common.errors import HarnessError, UsageError
from harness.common.terminal import show
from harness.load.control.plan import WHOLE_LOAD, LoadPlan, Shard
from harness.load.recording.recorder import Recorder, StringTable
from harness.load.workers.greenlets import spawn
from harness.load.workers.load_runner import STOP_TIMEOUT_S, LoadRunner
from harness.oracle.judge import judge
from harness.oracle.outcome import SessionOutcome
from harness.oracle.verdict import SessionVerdict

SWEEP_RATE = 2000.0
FLUSH_INTERVAL_S = 0.1
SEED = 1
#: Locust's own distribution does not say how many workers there will be.
#: Up to this many have sessions with distinct numbers.
MAX_WORKERS = 256
SETTLE, SETTLED = "harness_settle", "harness_settled"
_MAX_LISTED = 5

log = logging.getLogger(__name__)


class StandaloneMaster:
    """The master of workers that run alone: the load stops when each of them has reported its last counts.

    Locust itself waits for half a second, in which a count may be on its way.
    """

    def __init__(self, environment: Any) -> None:
        self._runner = environment.runner
        self._settled: set[str] = set()
        self._runner.register_message(SETTLED, lambda environment, msg: self._settled.add(msg.node_id))
        environment.events.test_stopping.add_listener(self._settle)

    def _settle(self, **_: Any) -> None:
        self._settled.clear()
        self._runner.send_message(SETTLE)
        deadline = time.monotonic() + STOP_TIMEOUT_S + 1
        while len(self._settled) < self._runner.worker_count and time.monotonic() < deadline:
            gevent.sleep(0.02)


class StandaloneRunner:
    """Follows Locust's own start and stop."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        worker = isinstance(environment.runner, WorkerRunner)
        self._shard = Shard(environment.runner.worker_index, MAX_WORKERS) if worker else WHOLE_LOAD
        self.load_runner = self._new_load_runner()
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stop.add_listener(self._stop)
        if worker:
            environment.runner.register_message(SETTLE, self._settle, concurrent=True)

    def _settle(self, environment: Any, msg: Any) -> None:
        """Send nothing further, and let the master have the last counts."""
        self.load_runner.drain()
        environment.runner._send_stats()
        environment.runner.send_message(SETTLED)

    def _new_load_runner(self) -> LoadRunner:
        plan = LoadPlan("closed", concurrent=1)
        load_runner = LoadRunner(self._environment, plan, SEED, StringTable(), Recorder(), shard=self._shard)
        spawn(load_runner.event_loop.run, on_error=self._on_error)
        spawn(self._flush, load_runner, on_error=self._on_error)
        return load_runner

    def _start(self, **_: Any) -> None:
        url = self._environment.host or next((kind.host for kind in self._environment.user_classes if kind.host), None)
        if self.load_runner.registry is not None:  # started again, from Locust's web page
            self.load_runner = self._new_load_runner()
        try:
            if url is None:
                raise UsageError("no URL to load", "give one with --host http://127.0.0.1:8080")
            self.load_runner.begin(url, time.monotonic_ns())
        except HarnessError as problem:
            self._on_error(problem)

    def _stop(self, **_: Any) -> None:
        if self.load_runner.registry is None:
            return
        self.load_runner.drain()
        show(verdict([judge(history) for history in self.load_runner.sweep(SWEEP_RATE)]))
        self.load_runner.event_loop.close()

    def _flush(self, load_runner: LoadRunner) -> None:
        while not load_runner.event_loop.closed:
            gevent.sleep(FLUSH_INTERVAL_S)
            load_runner.recorder.flush()

    def _on_error(self, problem: BaseException) -> None:
        known = isinstance(problem, HarnessError)
        log.error("%s", "\n".join(filter(None, (str(problem), getattr(problem, "hint", "")))), exc_info=not known)
        self._environment.process_exit_code = problem.code if isinstance(problem, HarnessError) else 70
        gevent.spawn(self._environment.runner.quit)


def verdict(judgements: Sequence[SessionVerdict]) -> str:
    """What happened to the sessions, for people: a few lines."""
    outcomes = Counter(judgement.outcome for judgement in judgements)
    summary = ", ".join(f"{count} {outcome.participle}" for outcome, count in outcomes.most_common())
    lines = [
        f"Sessions: {len(judgements)} judged: {summary or 'none'}",
        f"Writes:   {_sum(judgements, 'acknowledged')} acknowledged, {_sum(judgements, 'lost_writes')} of them lost, "
        f"{_sum(judgements, 'duplicates')} applied too often, {_sum(judgements, 'in_doubt')} in doubt",
        f"Logins:   {sum(judgement.forced_login for judgement in judgements)} sessions were sent back to the login",
    ]
    bad = [judgement for judgement in judgements if judgement.outcome is not SessionOutcome.KEPT]
    lines += [
        f"  session {judgement.session}: {'; '.join(judgement.why) or judgement.outcome.phrase}"
        for judgement in bad[:_MAX_LISTED]
    ]
    if len(bad) > _MAX_LISTED:
        lines.append(f"  and {len(bad) - _MAX_LISTED} more")
    return "\n".join(["", *lines, ""])


def _sum(judgements: Sequence[SessionVerdict], field: str) -> int:
    return sum(getattr(judgement, field) for judgement in judgements)
