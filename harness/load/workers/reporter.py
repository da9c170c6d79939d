"""What a load process reports of its load, by whatever way."""

import logging
import time
from collections.abc import Callable
from typing import NoReturn

import gevent

from harness.common.errors import HarnessError, explain_os_error
from harness.load.control.channel import Broken, ControlEvent, Stopped
from harness.load.workers.process_exit import exit_process
from harness.observations.samples import Snapshot

SNAPSHOT_INTERVAL_S = 0.2
_MAX_SLEEP_S = 0.02
_DEFECT_CODE = 70

log = logging.getLogger(__name__)


class Reporter:
    """Reports the load that this process drives."""

    def send(self, event: ControlEvent) -> None:
        """Report an event."""
        raise NotImplementedError

    def flush(self) -> None:
        """Wait until what was sent has arrived, for a moment at most."""

    def upload_records(self) -> None:
        """Bring what was recorded to the harness, if it is not there already."""

    def report(self, t0: int, snapshot: Callable[[], Snapshot], ended: Callable[[], bool]) -> None:
        """Send a snapshot every 200 ms from T0 until ``ended``; then a last one, and that the load has stopped."""
        due = t0 / 1e9 + SNAPSHOT_INTERVAL_S
        while not ended():
            gevent.sleep(min(_MAX_SLEEP_S, max(0.0, due - time.monotonic())))
            if time.monotonic() >= due:
                self.send(snapshot())
                due += SNAPSHOT_INTERVAL_S
        self.send(snapshot())
        self.send(Stopped())

    def report_failure(self, problem: BaseException) -> NoReturn:
        """Report what went wrong, and end the process."""
        problem = (isinstance(problem, OSError) and explain_os_error(problem)) or problem
        if isinstance(problem, HarnessError):
            failure = Broken(problem.message, problem.hint, problem.code)
        else:
            log.error("the load process has a defect", exc_info=problem)
            failure = Broken(f"a defect of the load process: {problem!r}", "its log has the details", _DEFECT_CODE)
        log.error("%s", failure.message)
        self.send(failure)
        self.flush()
        exit_process(failure.code)
