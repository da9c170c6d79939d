"""The master of several load processes: it drives nothing, passes the harness's commands on and sums up the answers."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from harness.common.version import __version__
from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

import locust.runners

from harness.common.errors import UntrustedError, UsageError
from harness.load.control.channel import (
    Assignment,
    Broken,
    ClockReply,
    ClockRequest,
    ControlCommand,
    ControlEvent,
    Hello,
    Joined,
    Ready,
    ReplicaStarting,
    StartLoad,
    StartSweep,
    Swept,
    WorkerExited,
    WorkerLost,
    decode_event,
    encode,
)
from harness.load.control.machine import machine_id
from harness.load.control.plan import ProcessConfig
from harness.load.workers.control_socket import open_channel
from harness.load.workers.greenlets import spawn
from harness.load.workers.process_exit import exit_process, quit_locust
from harness.load.workers.reliable_channel import ACK, MESSAGE, RETRANSMIT_INTERVAL_S, Payload, ReliableChannel
from harness.load.workers.worker_pool import Worker, WorkerPool
from harness.observations.samples import Snapshot

#: A worker that is silent for so long is lost. Writing its ledgers, a worker is silent for less.
SILENCE_TIMEOUT_S = 30


class Master:
    """Obeys the channel on behalf of the workers of one Locust master."""

    def __init__(self, environment: Any, config: ProcessConfig) -> None:
        self._environment = environment
        self._config = config
        self._control = open_channel(config)
        self._pool = WorkerPool(config.workers)
        self._by_client: dict[str, Worker] = {}
        self._channels: dict[str, ReliableChannel] = {}
        self._replicas_starting: list[ControlCommand] = []  # for workers that have yet to come
        self._machine = machine_id()
        self._complete = Event()
        self._started = Event()
        self._snapshot_count = 0
        self._start: StartLoad | None = None
        self._sent_once: set[type[ControlEvent]] = set()
        # Locust gives a worker up after three seconds, and stops the load with the last one. A busy worker is not dead.
        locust.runners.HEARTBEAT_LIVENESS = SILENCE_TIMEOUT_S
        runner = environment.runner
        channel_of = self._channel_of
        runner.register_message(MESSAGE, lambda environment, msg: channel_of(msg.node_id).on_message(msg.data))
        runner.register_message(ACK, lambda environment, msg: channel_of(msg.node_id).on_ack(msg.data))
        for work in (self._obey, self._heartbeat):
            spawn(work, on_error=self._control.report_failure)

    def hold(self) -> None:
        """Wait until all workers have their part; Locust spawns users when this returns."""
        self._complete.wait()

    def hold_until_start(self, stop_timeout: float) -> None:
        """As ``hold``, and until T0: for users that begin at once, and may take ``stop_timeout`` s to end."""
        self.hold()
        self._send_once(Ready())
        self._started.wait()
        # A shape that has ended may stop the load; the process ends when the harness says so.
        self._environment.runner.quit = self._environment.runner.stop
        start = self._start
        assert start is not None  # noqa: S101 - comes with the event
        self._environment.host = start.url
        self._environment.stop_timeout = stop_timeout
        gevent.sleep(max(0.0, start.t0 / 1e9 - time.monotonic()))

    # What the harness asks for.

    def _obey(self) -> None:
        for command in self._control.commands():
            self._execute(command)
        if self._pool.sessions_swept is None:
            exit_process(0)
        vars(self._environment.runner).pop("quit", None)
        quit_locust(self._environment)

    def _execute(self, command: ControlCommand) -> None:
        if isinstance(command, WorkerExited):
            self._on_worker_exit(command)
            return
        if isinstance(command, StartLoad):
            self._begin(command)
        elif isinstance(command, StartSweep):
            command = StartSweep(command.rate / max(1, len(self._pool.alive)))
        if isinstance(command, ReplicaStarting):
            self._replicas_starting.append(command)
        for worker in self._pool.alive:
            _send_command(worker, command)

    def _begin(self, start: StartLoad) -> None:
        remote_host = next((worker.host for worker in self._pool.workers if worker.remote), None)
        if remote_host and start.is_loopback:
            raise UsageError(
                f"{start.url} is this machine's own: the worker on {remote_host} cannot load it",
                'workers elsewhere load a Url("http://HOST:PORT") that they can reach',
            )
        self._start = start
        self._started.set()
        spawn(
            self._control.report,
            start.t0,
            self._snapshot,
            lambda: self._pool.stopped,
            on_error=self._control.report_failure,
        )

    def _snapshot(self) -> Snapshot:
        assert self._start is not None  # noqa: S101 - nothing is reported before
        self._snapshot_count += 1
        return self._pool.snapshot(self._snapshot_count, (time.monotonic_ns() - self._start.t0) / 1e9)

    # What workers report.

    def _channel_of(self, client: str) -> ReliableChannel:
        if client not in self._channels:
            send = self._environment.runner.send_message
            self._channels[client] = ReliableChannel(
                lambda kind, data: send(kind, data, client), lambda payload: self._deliver(client, payload)
            )
        return self._channels[client]

    def _deliver(self, client: str, payload: Payload) -> None:
        try:
            if "event" in payload:
                self._dispatch(client, decode_event(payload["event"]))
            else:
                self._append_records(self._by_client[client], payload)
        except Exception as problem:
            self._control.report_failure(problem)

    def _dispatch(self, client: str, event: ControlEvent) -> None:
        if isinstance(event, Hello):
            self._assign(client, event)
            return
        worker = self._by_client[client]
        if isinstance(event, ClockRequest):
            _send_command(worker, ClockReply(event.sent, time.monotonic_ns()))
        elif isinstance(event, Snapshot):
            core = None if event.core is None else f"{event.core} of {worker.name} on {worker.host}"
            worker.last_snapshot = replace(event, core=core)
        elif isinstance(event, Broken):
            self._control.send(replace(event, message=f"{worker.name}: {event.message}"))
        elif isinstance(event, Joined):
            worker.joined = True
            self._control.send(replace(event, worker=worker.name))
            self._finish_joining()
        else:
            worker.events[type(event)] = event
            self._report_progress()

    def _assign(self, client: str, hello: Hello) -> None:
        if hello.version != __version__:
            what = f"the worker on {hello.host} has harness {hello.version}, its master {__version__}"
            raise UsageError(what, "install the same version on both")
        index = self._pool.free_index(hello.nth)
        if index is None:
            self._environment.runner.send_message("quit", None, client)  # one more than was expected
            return
        remote = hello.machine != self._machine
        worker = Worker(index, hello.host, self._channels[client], f"worker-{index + 1}", remote)
        self._pool.workers.append(worker)
        self._by_client[client] = worker
        config, sends = self._config, not hello.nth or self._config.channel is None
        load = (config.load.with_trace_times() if sends else config.load).to_dict()
        _send_command(
            worker, Assignment(index, self._pool.size, load, config.seed, self._machine, sends, config.records)
        )

    def _finish_joining(self) -> None:
        if self._pool.complete:
            for worker in self._pool.alive:
                for command in self._replicas_starting:
                    _send_command(worker, command)
            self._complete.set()

    def _append_records(self, worker: Worker, payload: Payload) -> None:
        """Append to the spool of a worker that is on another machine."""
        directory = self._config.spool / worker.name
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / Path(payload["file"]).name).open("ab") as file:
            file.write(payload["chunk"])

    def _report_progress(self) -> None:
        """Report to the harness what all workers have reported by now."""
        if self._pool.ready:
            self._send_once(Ready())
        swept = self._pool.sessions_swept
        if swept is not None and Swept not in self._sent_once:
            self._control.upload_records()
            self._send_once(Swept(swept))

    def _send_once(self, event: ControlEvent) -> None:
        if type(event) not in self._sent_once:
            self._sent_once.add(type(event))
            self._control.send(event)

    # Workers that are lost.

    def _heartbeat(self) -> None:
        while True:
            gevent.sleep(RETRANSMIT_INTERVAL_S)
            for worker in self._pool.alive:
                worker.channel.retransmit()
                if worker.channel.silent_s > SILENCE_TIMEOUT_S and Swept not in worker.events:
                    self._lose(worker, f"it has been silent for {SILENCE_TIMEOUT_S} s")

    def _on_worker_exit(self, exited: WorkerExited) -> None:
        worker = next((worker for worker in self._pool.alive if worker.name == exited.worker), None)
        if worker is None:
            raise UntrustedError(f"{exited.worker} ended before it took part: {exited.why}")
        self._lose(worker, exited.why)

    def _lose(self, worker: Worker, why: str) -> None:
        worker.lost = True
        self._control.send(WorkerLost(worker.name, worker.host, why, worker.last_snapshot.sessions))
        if self._start is None or not self._pool.alive:
            raise UntrustedError(f"there is no load without {worker.name} on {worker.host}: {why}")
        self._report_progress()


def _send_command(worker: Worker, command: ControlCommand) -> None:
    worker.channel.send({"command": encode(command)})
