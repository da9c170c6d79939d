"""The supervisor process: it starts every part, and outlives the harness just long enough to end them all.

Run as a script, by its path and isolated (``python -I -S main.py DESCRIPTOR``), on the standard library alone, so that
it is up in tens of milliseconds. Orders and replies are JSON lines on the inherited socket; the harness numbers its
orders:

    {"order": 1, "do": "spawn", "argv", "log", "env", "cwd", "cpus", "fds"}   ``fds`` names the descriptors sent along
    {"order": 2, "do": "signal", "child": 1, "signal": 9, "group": true}      a child has the number of its spawn order
    {"order": 3, "do": "at_end", "argv"}                                      what to run last of all; the latest counts
    {"say": "ready", "scratch"}  {"say": "done", "order", "value"}            the pid, or whether a signal was delivered
    {"say": "failed", "order", "errno", "path"}  {"say": "exited", "child", "code"}

When the socket ends, the harness ends or a signal asks for it, it kills all its descendants, runs the last command,
removes its scratch directory and exits.
"""
# ruff: noqa: PTH102, PTH118, PTH123, PTH208 - pathlib would be a fifth of the start-up time

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypedDict

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
SCRATCH_PREFIX = "/tmp/harness-"  # noqa: S108 - a random suffix and mode 700 make it safe
OWNER_FILE = "owner"
RUN_VARIABLE = "HARNESS_RUN"
OWNER_VARIABLE = "HARNESS_SUPERVISOR"  # pid:start time of the supervisor, in every part's environment
END_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LAST_COMMAND_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0  # then it stops waiting for processes that survive SIGKILL
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class LaunchOrder(TypedDict):
    """An order of the harness; ``do`` decides which of the other fields it has."""

    order: int
    do: str
    argv: list[str]
    log: str
    env: dict[str, str]
    cwd: str | None
    cpus: list[int]
    fds: list[str]
    child: int
    signal: int
    group: bool


class Stat(NamedTuple):
    """A process as /proc shows it; ``started`` is in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int


def read_stat(pid: int) -> Stat | None:
    """Read the state of one process; None if there is no such process (or no /proc)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Stat(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def processes() -> Iterator[Stat]:
    """Yield every process of the machine; none if there is no /proc."""
    for name in os.listdir("/proc") if LINUX else ():
        process = read_stat(int(name)) if name.isdigit() else None
        if process is not None:
            yield process


def identity(pid: int) -> str:
    """Return a pid with its start time, which distinguishes it from a later process with the same pid."""
    process = read_stat(pid)
    return f"{pid}:{process.started if process else 0}"


def descendants(root: int) -> list[int]:
    """Return the pids of the children of a process, of their children, and so on."""
    children: dict[int, list[int]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process.pid)
    pids = list(children.get(root, ()))
    for pid in pids:
        pids.extend(children.get(pid, ()))
    return pids


def _kill(kill: Callable[[int, int], None], pid: int, number: int) -> bool:
    try:
        kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _prctl() -> Callable[[int, int], int]:
    if not LINUX:
        return lambda _option, _value: -1
    function = ctypes.CDLL(None).prctl
    function.argtypes = (ctypes.c_int, ctypes.c_ulong)
    return function


class SupervisorProcess:
    """The children, the socket to the harness, and the scratch directory."""

    def __init__(self, channel: socket.socket, scratch: str) -> None:
        self.channel: socket.socket | None = channel
        self.scratch = scratch
        self.pid = os.getpid()
        self.pids: dict[int, int] = {}  # child -> pid, until the child is collected
        self.received: list[int] = []  # descriptors, in the sequence of the orders that name them
        self.buffer = b""
        self.last_command: list[str] = []
        self.prctl = _prctl()

    def serve(self, wake: socket.socket) -> None:
        """Execute orders until the socket ends, the harness ends, or a signal asks for the end."""
        if self.channel is None:
            return
        poll = select.poll()
        ends = self._watch_harness()
        for source in (self.channel.fileno(), wake.fileno(), *ends):
            poll.register(source, select.POLLIN)
        self.send({"say": "ready", "scratch": self.scratch})
        while True:
            ready = {source for source, _ in poll.poll()}
            if wake.fileno() in ready and set(wake.recv(4096)) & set(END_SIGNALS):
                return
            self.reap()
            if ready.intersection(ends) or (self.channel.fileno() in ready and not self.read()):
                return

    @staticmethod
    def _watch_harness() -> list[int]:
        # The socket alone is not enough: a process forked by the harness holds a copy of its end.
        try:
            return [os.pidfd_open(os.getppid())]
        except (AttributeError, OSError):  # not Linux, or older than 5.3
            return []

    def read(self) -> bool:
        """Read and execute the orders that have arrived; return False at the end of the socket."""
        if self.channel is None:
            return False
        data, received, _, _ = socket.recv_fds(self.channel, 1 << 16, 16, _CLOEXEC)
        self.received.extend(received)
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.execute(json.loads(line))
        return bool(data)

    def execute(self, order: LaunchOrder) -> None:
        """Execute an order and reply."""
        try:
            value = {"spawn": self.spawn, "signal": self.signal, "at_end": self.at_end}[order["do"]](order)
        except (OSError, subprocess.SubprocessError) as problem:
            path, number = str(getattr(problem, "filename", "") or ""), getattr(problem, "errno", 0) or 0
            self.send({"say": "failed", "order": order["order"], "errno": number, "path": path})
        else:
            self.send({"say": "done", "order": order["order"], "value": value})

    def send(self, message: dict[str, str | int]) -> None:
        """Send a message to the harness, as long as the socket is open."""
        if self.channel is not None:
            self.channel.sendall(json.dumps(message).encode() + b"\n")

    def spawn(self, order: LaunchOrder) -> int:
        """Start a child in its own process group and return its pid.

        Raises:
            OSError: with the path that is at fault.
        """
        names = order["fds"]
        passed, self.received = self.received[: len(names)], self.received[len(names) :]
        opened = list(passed)
        try:
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            opened.append(log)
            process = subprocess.Popen(
                order["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **order["env"], **{name: str(fd) for name, fd in zip(names, passed, strict=True)}},
                cwd=order["cwd"],
                pass_fds=passed,
                process_group=0,
                preexec_fn=self._prepare(order["cpus"]),  # noqa: PLW1509 - safe: this process has one thread
            )
        finally:
            for fd in opened:
                os.close(fd)
        process.returncode = 0  # waitpid(-1) collects it, not this object
        self.pids[order["order"]] = process.pid
        return process.pid

    def _prepare(self, cpus: list[int]) -> Callable[[], None]:
        def between_fork_and_exec() -> None:
            if cpus and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, cpus)
            self.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.pid:  # the supervisor died before prctl took effect
                os.kill(os.getpid(), signal.SIGKILL)

        return between_fork_and_exec

    def signal(self, order: LaunchOrder) -> int:
        """Send a signal to a child, or to its whole process group; return 1 if it was delivered, else 0."""
        pid = self.pids.get(order["child"])
        return int(pid is not None and _kill(os.killpg if order["group"] else os.kill, pid, order["signal"]))

    def at_end(self, order: LaunchOrder) -> int:
        """Store the command to run at the end."""
        self.last_command = order["argv"]
        return 0

    def reap(self) -> bool:
        """Collect and report the processes that have ended; return False once there is no child left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            for child in [child for child, its in self.pids.items() if its == pid]:
                del self.pids[child]
                _kill(os.killpg, pid, signal.SIGKILL)  # a part's group ends with it: nginx leaves workers behind
                self.send({"say": "exited", "child": child, "code": os.waitstatus_to_exitcode(status)})

    def end(self) -> None:
        """Kill all descendants until none is left (this process is their subreaper), then clean up."""
        self.channel = None
        deadline = time.monotonic() + END_TIMEOUT_S
        while time.monotonic() < deadline:
            for pid in list(self.pids.values()):
                _kill(os.killpg, pid, signal.SIGKILL)
            for pid in descendants(self.pid):
                _kill(os.kill, pid, signal.SIGKILL)
            if not self.reap():
                break
            time.sleep(0.005)
        if self.last_command:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(self.last_command, stdin=subprocess.DEVNULL, timeout=LAST_COMMAND_TIMEOUT_S, check=False)
        shutil.rmtree(self.scratch, ignore_errors=True)


def wake_on_signals() -> socket.socket:
    """Return a socket on which the number of each end signal, and of SIGCHLD, can be read."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(os.dup(writer.fileno()), warn_on_full_buffer=False)
    for number in (*END_SIGNALS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    writer.close()
    return reader


def make_scratch() -> str:
    """Make a directory that names its owner and run. Its path is short: that of a unix socket has at most 107 bytes.

    Raises:
        OSError: the directory cannot be made.
    """
    path = SCRATCH_PREFIX + os.urandom(5).hex()
    os.mkdir(path, 0o700)
    with open(os.path.join(path, OWNER_FILE), "w") as file:
        file.write(f"{os.environ[OWNER_VARIABLE]} {os.environ.get(RUN_VARIABLE, '')}")
    return path


def main() -> None:
    """Serve the harness at the other end of the socket whose descriptor is the first argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    os.environ[OWNER_VARIABLE] = identity(os.getpid())
    try:
        supervisor = SupervisorProcess(channel, make_scratch())
    except OSError as problem:
        failure = {"say": "failed", "order": 0, "errno": problem.errno, "path": problem.filename}
        channel.sendall(json.dumps(failure).encode() + b"\n")
        return
    supervisor.prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = wake_on_signals()
    try:
        with contextlib.suppress(ConnectionError):
            supervisor.serve(wake)
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
