"""A plain locustfile under the harness: loaded beside it (``-f locustfile.py,adapter.py``), this records its requests.

Nothing happens if no harness has started this process, or if the file has session users: those record themselves.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import gevent
from locust import events

from harness.common.errors import UsageError
from harness.load.control.channel import ControlCommand, Ready, ReplicaStarting, StartLoad, StartSweep, StopLoad, Swept
from harness.load.control.plan import LoadPlan, ProcessConfig, WorkerConfig
from harness.load.locustfiles import has_sessions
from harness.load.recording.histograms import spool_writer
from harness.load.recording.live_stats import Lag, LiveStats
from harness.load.recording.meter import CpuMeter
from harness.load.recording.recorder import Recorder, SpoolWriter, StringTable
from harness.load.workers.control_socket import ControlSocket, open_channel
from harness.load.workers.ended_users import EndedUsers
from harness.load.workers.greenlets import spawn
from harness.load.workers.master import Master
from harness.load.workers.process_exit import exit_process, quit_locust
from harness.load.workers.reporter import Reporter
from harness.load.workers.transport import WorkerTransport
from harness.observations.requests import NO_TIME, Method, Outcome
from harness.observations.samples import Snapshot

STOP_TIMEOUT_S = 10


class LocustfileAdapter:
    """Holds Locust back until the harness starts the load, then records the requests that Locust reports."""

    def __init__(self, environment: Any, control: ControlSocket | WorkerTransport, spool: SpoolWriter) -> None:
        self._environment = environment
        self._control = control
        self._spool = spool
        self._ended_users = EndedUsers(environment.user_classes, control.report_failure)
        self._names = StringTable(self._spool.write_name)
        self._lag = Lag(_later)
        self._live_stats = LiveStats(self._lag, CpuMeter(_later))
        self._lag.start(time.monotonic_ns())
        self._recorder = Recorder(self._spool.write, self._live_stats.add)
        self._boots: dict[str, str] = {}
        self._t0 = self._sent = 0
        self._stopping = self._stopped = self._swept = False
        self._commands = self._control.commands()

    def hold(self) -> None:
        """Wait for the start; Locust spawns its users when this returns."""
        self._control.send(Ready())
        start = next((command for command in self._commands if not self._note_boot(command)), None)
        if not isinstance(start, StartLoad):
            exit_process(0)
        self._environment.host = start.url
        self._environment.stop_timeout = STOP_TIMEOUT_S
        # A shape that has ended, or a listener, may stop the load; the process ends when the harness says so.
        self._environment.runner.quit = self._environment.runner.stop
        self._begin(start)
        gevent.sleep(max(0.0, start.t0 / 1e9 - time.monotonic()))
        self._live_stats.reset()
        self._lag.reset()
        self._spawn(self._obey)

    def obey_master(self) -> None:
        """Obey the master, which holds the users back itself."""
        self._spawn(self._obey)
        self._control.send(Ready())

    def _begin(self, start: StartLoad) -> None:
        self._environment.events.request.add_listener(self._record)
        self._t0 = start.t0
        self._spool.set_window(start.warmup, start.duration)
        self._spawn(self._control.report, start.t0, self._snapshot, lambda: self._stopped)
        self._spawn(self._stop_at, start.t0 / 1e9 + start.duration)

    def _spawn(self, work: Any, *args: Any) -> None:
        spawn(work, *args, on_error=self._control.report_failure)

    def _record(self, request_type: str, name: str, response_time: float | None, **event: Any) -> None:
        end, response, problem = time.monotonic_ns(), event.get("response"), event.get("exception")
        begin = end - round((response_time or 0.0) * 1e6)
        status = getattr(response, "status_code", None) or 0
        headers = getattr(response, "headers", None) or {}
        outcome, replica = _outcome(status, problem), headers.get("X-Replica") or ""
        self._sent += 1
        self._recorder.add(
            0,
            0,
            0,
            self._names.intern("name", name if name.startswith(request_type) else f"{request_type} {name}"),
            Method.__members__.get(request_type, Method.OTHER),
            outcome,
            0,
            1,
            0,
            0,
            status,
            self._names.intern("replica", replica),
            self._names.intern("boot", headers.get("X-Boot") or self._boots.get(replica, "")),
            begin - self._t0,
            begin - self._t0,
            NO_TIME,
            end - self._t0,
            0,
            event.get("response_length") or 0,
        )

    def _snapshot(self) -> Snapshot:
        self._recorder.flush()
        t = (time.monotonic_ns() - self._t0) / 1e9
        return self._ended_users.add_to(self._live_stats.snapshot(t, self._sent, 0, 0, 0))

    def _obey(self) -> None:
        for command in self._commands:
            self._execute(command)
        self._recorder.flush()
        if self._swept:
            vars(self._environment.runner).pop("quit", None)
            quit_locust(self._environment)
        else:
            exit_process(0)

    def _note_boot(self, command: ControlCommand) -> bool:
        if isinstance(command, ReplicaStarting):
            self._boots[command.replica] = command.boot
        return isinstance(command, ReplicaStarting)

    def _execute(self, command: ControlCommand) -> None:
        if self._note_boot(command):
            return
        if isinstance(command, StartLoad):
            self._begin(command)
            self._live_stats.reset()
        elif isinstance(command, StopLoad):
            self._spawn(self._stop)
        elif isinstance(command, StartSweep):
            self._spool.write_ledgers([])
            self._swept = True
            self._recorder.flush()
            self._control.upload_records()
            self._control.send(Swept(0))

    def _stop_at(self, moment: float) -> None:
        gevent.sleep(max(0.0, moment - time.monotonic()))
        self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._environment.runner.stop()
            self._stopped = True


def _later(t_ns: int, call: Callable[[int], None]) -> None:
    gevent.spawn_later(max(0.0, (t_ns - time.monotonic_ns()) / 1e9), call, t_ns)


def _outcome(status: int, problem: object) -> Outcome:
    """As for sessions, but regardless of which replica replied: a user-supplied service does not name it."""
    if status >= 500:
        return Outcome.IN_DOUBT
    if status:  # an ok reply with a problem is one that the locustfile itself called a failure
        return Outcome.OK if status < 400 and problem is None else Outcome.FAILED
    if problem is None:
        return Outcome.OK  # no HTTP: what the locustfile reports counts
    refused = isinstance(problem, ConnectionRefusedError) or "refused" in repr(problem).lower()
    return Outcome.FAILED if refused else Outcome.IN_DOUBT


def on_locust_init(environment: Any, **_: Any) -> None:
    """Once Locust is set up, and before it spawns users."""
    if has_sessions(environment):
        return
    if config := ProcessConfig.from_environment(os.environ):
        if config.workers:
            Master(environment, config).hold_until_start(STOP_TIMEOUT_S)
            return
        control = open_channel(config)
        _check(config.load, control)
        LocustfileAdapter(environment, control, spool_writer(config.spool, config.records)).hold()
    elif worker_config := WorkerConfig.from_environment(os.environ):
        transport = WorkerTransport(environment.runner, worker_config)
        assignment = transport.enlist()
        _check(LoadPlan.from_dict(assignment.load), transport)
        spool = spool_writer(worker_config.spool, assignment.records)
        LocustfileAdapter(environment, transport, spool).obey_master()
        transport.join()


def _check(plan: LoadPlan, reporter: Reporter) -> None:
    if plan.kind != "closed":
        reporter.report_failure(
            UsageError("a plain locustfile decides itself when it sends requests", "load=Sessions(concurrent=N)")
        )


events.init.add_listener(on_locust_init)  # type: ignore[no-untyped-call] # Locust does not type its hooks
