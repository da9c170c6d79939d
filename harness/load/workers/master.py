"""The master of several load processes: it drives nothing, passes the harness's deeds on and sums up the answers."""

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

from harness.common.errors import HarnessError, UntrustedError, UsageError
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
from harness.load.control.plan import ProcessConfig
from harness.load.workers.control_socket import ControlSocket, exit_process, quit_locust
from harness.load.workers.load_runner import spawn
from harness.load.workers.reliable_channel import ACK, MESSAGE, RETRANSMIT_INTERVAL_S, Letter, ReliableChannel
from harness.load.workers.transport import machine
from harness.load.workers.worker_pool import Worker, WorkerPool
from harness.observations.samples import Snapshot

#: A worker that says nothing for so long is lost: one that only writes down its ledgers is not.
SILENCE_TIMEOUT_S = 30


class Master:
    """Obeys the channel on behalf of the workers of one Locust master."""

    def __init__(self, environment: Any, orders: ProcessConfig) -> None:
        self._environment = environment
        self._orders = orders
        self._link = ControlSocket(orders.channel)
        self._crew = WorkerPool(orders.workers)
        self._by_client: dict[str, Worker] = {}
        self._posts: dict[str, ReliableChannel] = {}
        self._early: list[ControlCommand] = []  # what was asked for before all had come
        self._here = machine()
        self._complete = Event()
        self._started = Event()
        self._n = 0
        self._start: StartLoad | None = None
        self._told: set[type[ControlEvent]] = set()
        # Locust gives a worker up after three seconds, and with the last one stops the load: a busy one is not dead.
        locust.runners.HEARTBEAT_LIVENESS = SILENCE_TIMEOUT_S
        runner = environment.runner
        runner.register_message(MESSAGE, self._on_letter)
        runner.register_message(ACK, self._on_receipt)
        spawn(self._obey, died=self._link.died)
        spawn(self._keep_in_touch, died=self._link.died)

    def hold(self) -> None:
        """Wait until all workers have their part; Locust spawns users when this returns."""
        self._complete.wait()

    def hold_until_start(self, stop_timeout: float) -> None:
        """The same, and until T0: for users that begin as soon as they are there, and may take so long to end."""
        self.hold()
        self._tell_once(Ready())
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
        for deed in self._link.deeds():
            self._do(deed)
        if self._crew.swept is None:
            exit_process(0)
        vars(self._environment.runner).pop("quit", None)
        quit_locust(self._environment)

    def _do(self, deed: ControlCommand) -> None:
        if isinstance(deed, WorkerExited):
            self._gone(deed)
            return
        if isinstance(deed, StartLoad):
            self._begin(deed)
        elif isinstance(deed, StartSweep):
            deed = StartSweep(deed.rate / max(1, len(self._crew.alive)))
        if isinstance(deed, ReplicaStarting):
            self._early.append(deed)
        for worker in self._crew.alive:
            _pass_on(worker, deed)

    def _begin(self, start: StartLoad) -> None:
        elsewhere = next((w.host for w in self._crew.workers if w.elsewhere), None)
        if elsewhere and start.is_loopback:
            raise UsageError(
                f"{start.url} is this machine's own: the worker on {elsewhere} cannot load it",
                'workers elsewhere load a Url("http://HOST:PORT") that they can reach',
            )
        self._start = start
        self._started.set()
        spawn(self._link.report, start.t0, self._snapshot, lambda: self._crew.stopped, died=self._link.died)

    def _snapshot(self) -> Snapshot:
        assert self._start is not None  # noqa: S101 - nothing is reported before
        self._n += 1
        return self._crew.snapshot(self._n, (time.monotonic_ns() - self._start.t0) / 1e9)

    # What workers say.

    def _on_letter(self, environment: Any, msg: Any) -> None:
        self._post_of(msg.node_id).take(msg.data)

    def _on_receipt(self, environment: Any, msg: Any) -> None:
        self._post_of(msg.node_id).acknowledged(msg.data)

    def _post_of(self, client: str) -> ReliableChannel:
        if client not in self._posts:
            send = self._environment.runner.send_message
            self._posts[client] = ReliableChannel(
                lambda kind, data: send(kind, data, client), lambda letter: self._deliver(client, letter)
            )
        return self._posts[client]

    def _deliver(self, client: str, letter: Letter) -> None:
        try:
            if "word" in letter:
                self._hear(client, decode_event(letter["word"]))
            else:
                self._keep(self._by_client[client], letter)
        except Exception as problem:
            self._link.died(problem)

    def _hear(self, client: str, word: ControlEvent) -> None:
        if isinstance(word, Hello):
            self._enlist(client, word)
            return
        worker = self._by_client[client]
        if isinstance(word, ClockRequest):
            _pass_on(worker, ClockReply(word.sent, time.monotonic_ns()))
        elif isinstance(word, Snapshot):
            core = None if word.core is None else f"{word.core} of {worker.name} on {worker.host}"
            worker.last = replace(word, core=core)
        elif isinstance(word, Broken):
            self._link.say(replace(word, message=f"{worker.name}: {word.message}"))
        elif isinstance(word, Joined):
            worker.joined = True
            self._link.say(replace(word, worker=worker.name))
            self._complete_now()
        else:
            worker.said[type(word)] = word
            self._proceed()

    def _enlist(self, client: str, hello: Hello) -> None:
        if hello.version != __version__:
            what = f"the worker on {hello.host} has harness {hello.version}, its master {__version__}"
            raise UsageError(what, "install the same version on both")
        place = self._crew.place(hello.nth)
        if place is None:
            self._environment.runner.send_message("quit", None, client)  # one more than was expected
            return
        worker = Worker(place, hello.host, self._posts[client], f"worker-{place + 1}", hello.machine != self._here)
        self._crew.workers.append(worker)
        self._by_client[client] = worker
        orders, sends = self._orders, not hello.nth
        load = (orders.load.with_trace_times() if sends else orders.load).to_dict()
        told = (load, orders.seed, self._here, sends, orders.records)
        _pass_on(worker, Assignment(place, self._crew.size, *told))

    def _complete_now(self) -> None:
        if self._crew.complete:
            for worker in self._crew.alive:
                for deed in self._early:
                    _pass_on(worker, deed)
            self._complete.set()

    def _keep(self, worker: Worker, letter: Letter) -> None:
        """Append a piece of the spool of a worker that lies elsewhere."""
        directory = self._orders.spool / worker.name
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / Path(letter["file"]).name).open("ab") as file:
            file.write(letter["piece"])

    def _proceed(self) -> None:
        """Tell the harness what all workers have said by now."""
        if self._crew.ready:
            self._tell_once(Ready())
        swept = self._crew.swept
        if swept is not None:
            self._tell_once(Swept(swept))

    def _tell_once(self, word: ControlEvent) -> None:
        if type(word) not in self._told:
            self._told.add(type(word))
            self._link.say(word)

    # Workers that die.

    def _keep_in_touch(self) -> None:
        while True:
            gevent.sleep(RETRANSMIT_INTERVAL_S)
            for worker in self._crew.alive:
                worker.post.again()
                if worker.post.silent_s > SILENCE_TIMEOUT_S and Swept not in worker.said:
                    self._lose(worker, f"it has said nothing for {SILENCE_TIMEOUT_S} s")

    def _gone(self, gone: WorkerExited) -> None:
        found = [worker for worker in self._crew.alive if worker.name == gone.worker]
        if not found:
            raise UntrustedError(f"{gone.worker} ended before it took part: {gone.why}")
        self._lose(found[0], gone.why)

    def _lose(self, worker: Worker, why: str) -> None:
        worker.lost = True
        self._link.say(WorkerLost(worker.name, worker.host, why, worker.last.sessions))
        if self._start is None or not self._crew.alive:
            raise _no_load(worker, why)
        self._proceed()


def _no_load(worker: Worker, why: str) -> HarnessError:
    return UntrustedError(f"there is no load without {worker.name} on {worker.host}: {why}")


def _pass_on(worker: Worker, deed: ControlCommand) -> None:
    worker.post.post({"deed": encode(deed)})
