"""Sessions under plain ``locust -f``, without the harness: no spool, and a verdict in words at the end."""

import logging
import time
from typing import Any

from harness.errors import HarnessError
from harness.load.plan import LoadPlan
from harness.load.recorder import Names, Recorder
from harness.load.session import Stage
from harness.load.venue import Venue, spawn
from harness.oracle.judge import judge

SWEEP_RATE = 2000.0

log = logging.getLogger(__name__)


class Alone:
    """Follows Locust's own start and stop."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self.venue = Venue(environment, LoadPlan("closed", concurrent=1), 1, Names(), Recorder())
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stop.add_listener(self._stop)
        spawn(self.venue.engine.run, died=self._died)
        spawn(self._flush, died=self._died)

    def _start(self, **_: Any) -> None:
        url = self._environment.host or next((kind.host for kind in self._environment.user_classes if kind.host), "")
        try:
            self.venue.begin(url, time.monotonic_ns())
        except HarnessError as problem:
            self._died(problem)

    def _stop(self, **_: Any) -> None:
        if self.venue.stage is not None:
            self.venue.drain()
            print(verdict(self.venue.sweep(SWEEP_RATE)))  # noqa: T201 - what a person at the terminal waits for

    def _flush(self) -> None:
        import gevent

        while True:
            gevent.sleep(0.1)
            self.venue.recorder.flush()

    def _died(self, problem: BaseException) -> None:
        message, hint = (problem.message, problem.hint) if isinstance(problem, HarnessError) else (repr(problem), "")
        log.error("%s%s", message, f"\n{hint}" if hint else "", exc_info=None if hint else problem)
        self._environment.process_exit_code = problem.code if isinstance(problem, HarnessError) else 70
        self._environment.runner.quit()


def verdict(stage: Stage) -> str:
    """The ledgers' verdict on every session of a stage, for people."""
    judgements = [judge(session.ledger.testimony()) for session in stage.sessions]
    return repr(judgements[:3])
