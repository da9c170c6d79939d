"""Sessions loaded under orders, the harness's or a master's: start, stop, sweep; snapshots back."""

import time
from typing import Any

import gevent

from harness.load.control.channel import ControlCommand, Ready, ReplicaStarting, StartLoad, StartSweep, StopLoad, Swept
from harness.load.control.plan import WHOLE_LOAD, LoadPlan, ProcessConfig, Shard, WorkerConfig
from harness.load.recording.histograms import spool_writer
from harness.load.recording.recorder import Recorder, SpoolWriter, StringTable
from harness.load.workers.control_socket import ControlSocket, exit_process, quit_locust
from harness.load.workers.load_runner import LoadRunner, spawn
from harness.load.workers.transport import WorkerTransport


class ControlledRunner:
    """Obeys whoever gives the orders for the session users of one Locust process."""

    def __init__(
        self,
        environment: Any,
        link: ControlSocket | WorkerTransport,
        spool: SpoolWriter,
        plan: LoadPlan,
        *,
        seed: int,
        share: Shard,
    ) -> None:
        self._environment = environment
        self._link = link
        self._spool = spool
        names = StringTable(spool.write_name)
        self.venue = LoadRunner(environment, plan, seed, names, Recorder(spool.write), share=share)
        self._stopping = self._stopped = self._swept = False
        environment.events.spawning_complete.add_listener(self._spawned)
        spawn(self.venue.engine.run, died=link.died)
        spawn(self._obey, died=link.died)

    @classmethod
    def ordered(cls, environment: Any, orders: ProcessConfig) -> "ControlledRunner":
        """By the harness itself."""
        link, spool = ControlSocket(orders.channel), spool_writer(orders.spool, orders.records)
        return cls(environment, link, spool, orders.load, seed=orders.seed, share=WHOLE_LOAD)

    @classmethod
    def recruited(cls, environment: Any, recruit: WorkerConfig) -> "ControlledRunner":
        """By a master, which says what its part is."""
        courier = WorkerTransport(environment.runner, recruit)
        told = courier.enlist()
        spool, share = spool_writer(recruit.spool, told.records), Shard(told.nth, told.of)
        worker = cls(environment, courier, spool, LoadPlan.from_dict(told.load), seed=told.seed, share=share)
        courier.join()
        return worker

    def _spawned(self, **_: Any) -> None:
        self._link.say(Ready())

    def _obey(self) -> None:
        for deed in self._link.deeds():
            self._do(deed)
        self.venue.recorder.flush()
        if self._swept:
            quit_locust(self._environment)
        else:
            exit_process(0)

    def _do(self, deed: ControlCommand) -> None:
        if isinstance(deed, ReplicaStarting):
            self.venue.boots[deed.replica] = deed.boot
        elif isinstance(deed, StartLoad):
            self._spool.set_window(deed.warmup, deed.duration)
            self.venue.begin(deed.url, deed.t0)
            spawn(self._link.report, deed.t0, self.venue.snapshot, lambda: self._stopped, died=self._link.died)
            spawn(self._stop_at, deed.t0 / 1e9 + deed.duration, died=self._link.died)
        elif isinstance(deed, StopLoad):
            spawn(self._stop, died=self._link.died)
        elif isinstance(deed, StartSweep):
            spawn(self._sweep, deed.rate, died=self._link.died)

    def _stop_at(self, moment: float) -> None:
        gevent.sleep(max(0.0, moment - time.monotonic()))
        self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self.venue.drain()
            self._stopped = True

    def _sweep(self, rate: float) -> None:
        stage = self.venue.sweep(rate)
        self._spool.write_ledgers([session.ledger.history() for session in stage.sessions])
        self._swept = True
        self._link.hand_over()
        self._link.say(Swept(len(stage.sessions)))
