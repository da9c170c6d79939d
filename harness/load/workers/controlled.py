"""Sessions loaded under the commands of the harness or of a master: start, stop, sweep; snapshots back."""

import time
from collections.abc import Callable
from typing import Any

import gevent

from harness.load.control.channel import ControlCommand, Ready, ReplicaStarting, StartLoad, StartSweep, StopLoad, Swept
from harness.load.control.plan import WHOLE_LOAD, LoadPlan, ProcessConfig, Shard, WorkerConfig
from harness.load.recording.histograms import spool_writer
from harness.load.recording.recorder import Recorder, SpoolWriter, StringTable
from harness.load.workers.control_socket import ControlSocket, open_channel
from harness.load.workers.ended_users import EndedUsers
from harness.load.workers.greenlets import spawn
from harness.load.workers.load_runner import LoadRunner
from harness.load.workers.process_exit import exit_process, quit_locust
from harness.load.workers.transport import WorkerTransport


class ControlledRunner:
    """Runs the session users of one Locust process as the harness, or a master, commands."""

    def __init__(
        self,
        environment: Any,
        control: ControlSocket | WorkerTransport,
        spool: SpoolWriter,
        plan: LoadPlan,
        *,
        seed: int,
        shard: Shard,
    ) -> None:
        self._environment = environment
        self._control = control
        self._spool = spool
        self._ended_users = EndedUsers(environment.user_classes, control.report_failure)
        names = StringTable(spool.write_name)
        self.load_runner = LoadRunner(environment, plan, seed, names, Recorder(spool.write), shard=shard)
        self._stopping = self._stopped = self._swept = False
        environment.events.spawning_complete.add_listener(lambda **_: control.send(Ready()))
        self._spawn(self.load_runner.event_loop.run)
        self._spawn(self._obey)

    @classmethod
    def from_process_config(cls, environment: Any, config: ProcessConfig) -> "ControlledRunner":
        """One that the harness itself commands."""
        control, spool = open_channel(config), spool_writer(config.spool, config.records)
        return cls(environment, control, spool, config.load, seed=config.seed, shard=WHOLE_LOAD)

    @classmethod
    def from_worker_config(cls, environment: Any, config: WorkerConfig) -> "ControlledRunner":
        """One that a master commands, which also assigns its part of the load."""
        transport = WorkerTransport(environment.runner, config)
        assignment = transport.enlist()
        spool, shard = spool_writer(config.spool, assignment.records), Shard(assignment.nth, assignment.of)
        plan = LoadPlan.from_dict(assignment.load)
        worker = cls(environment, transport, spool, plan, seed=assignment.seed, shard=shard)
        transport.join()
        return worker

    def _spawn(self, work: Callable[..., None], *args: Any) -> None:
        spawn(work, *args, on_error=self._control.report_failure)

    def _obey(self) -> None:
        for command in self._control.commands():
            self._execute(command)
        self.load_runner.recorder.flush()
        if self._swept:
            quit_locust(self._environment)
        else:
            exit_process(0)

    def _execute(self, command: ControlCommand) -> None:
        if isinstance(command, ReplicaStarting):
            self.load_runner.boots[command.replica] = command.boot
        elif isinstance(command, StartLoad):
            self._start(command)
        elif isinstance(command, StopLoad):
            self._spawn(self._stop)
        elif isinstance(command, StartSweep):
            self._spawn(self._sweep, command.rate)

    def _start(self, start: StartLoad) -> None:
        self._spool.set_window(start.warmup, start.duration)
        self.load_runner.begin(start.url, start.t0, round(start.warmup * 1e9), round(start.duration * 1e9))
        snapshot = self.load_runner.snapshot
        count_ended = self._ended_users.add_to
        self._spawn(self._control.report, start.t0, lambda: count_ended(snapshot()), lambda: self._stopped)
        self._spawn(self._stop_at, start.t0 / 1e9 + start.duration)

    def _stop_at(self, moment: float) -> None:
        gevent.sleep(max(0.0, moment - time.monotonic()))
        self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self.load_runner.drain()
            self._stopped = True

    def _sweep(self, rate: float) -> None:
        histories = self.load_runner.sweep(rate)
        self._spool.write_ledgers(histories)
        self._swept = True
        self._control.upload_records()
        self._control.send(Swept(len(histories)))
