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

With modules as further arguments, it is *warm* (``warm.py``): it imports them, and starts ``python -m MODULE`` as a
copy of itself, which has them already. A load process then saves the second of CPU time in which Locust is imported.
"""
# ruff: noqa: PTH102, PTH109, PTH115, PTH118, PTH123, PTH208 - pathlib would be a fifth of the start-up time

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from os import fork  # this and poll are the originals: Locust, which a warm process imports, replaces them
from select import POLLIN, poll
from typing import NamedTuple, NoReturn, TypedDict

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
SCRATCH_PREFIX = "/tmp/harness-"  # noqa: S108 - a random suffix and mode 700 make it safe
OWNER_FILE = "owner"
RUN_VARIABLE = "HARNESS_RUN"
OWNER_VARIABLE = "HARNESS_SUPERVISOR"  # the ``owner_identity`` of the supervisor, in every part's environment
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


def place() -> str:
    """Return what makes a pid unique: the boot of the machine and the PID namespace; empty if they are unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()}.{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def owner_identity() -> str:
    """Return the identity of this process, with the place where its pid means something."""
    return f"{identity(os.getpid())}@{place()}"


def has_ended(owner: str) -> bool:
    """Whether the process with that ``owner_identity`` has ended; False if that cannot be decided from here."""
    named, _, where = owner.partition("@")
    pid = named.partition(":")[0]
    if not pid.isdigit() or not where or where != place() or read_stat(os.getpid()) is None:
        return False
    process = read_stat(int(pid))
    return process is None or process.state in "ZX" or identity(int(pid)) != named


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
        self.sources: list[int] = []  # the descriptors that it waits for
        self.prctl = _prctl()

    def serve(self, wake: socket.socket) -> None:
        """Execute orders until the socket ends, the harness ends, or a signal asks for the end."""
        if self.channel is None:
            return
        waiting = poll()
        ends = self._watch_harness()
        self.sources = [self.channel.fileno(), wake.fileno(), *ends]
        for source in self.sources:
            waiting.register(source, POLLIN)
        self.send({"say": "ready", "scratch": self.scratch})
        while True:
            ready = {source for source, _ in waiting.poll()}
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
            env = {**os.environ, **order["env"], **{name: str(fd) for name, fd in zip(names, passed, strict=True)}}
            pid = self.pids[order["order"]] = self.launch(order, log, env, passed)
        finally:
            for fd in opened:
                os.close(fd)
        return pid

    def launch(self, order: LaunchOrder, log: int, env: dict[str, str], passed: list[int]) -> int:
        """Start the program and return its pid."""
        process = subprocess.Popen(
            order["argv"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            cwd=order["cwd"],
            pass_fds=passed,
            process_group=0,
            preexec_fn=self._prepare(order["cpus"]),  # noqa: PLW1509 - safe: this process has one thread
        )
        process.returncode = 0  # waitpid(-1) collects it, not this object
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


class WarmProcess(SupervisorProcess):
    """Starts ``python -m MODULE`` as a copy of this process, which has imported the modules that it needs."""

    def __init__(self, channel: socket.socket, modules: Sequence[str]) -> None:
        super().__init__(channel, scratch="")
        import gc  # noqa: PLC0415 - this and importlib are for a warm process alone
        import importlib  # noqa: PLC0415

        for module in ("runpy", *modules):
            with contextlib.suppress(Exception):  # the copy that needs it shows the error
                importlib.import_module(module)
        gc.freeze()  # a collection in a copy would write to, and so copy, what all of them share

    def launch(self, order: LaunchOrder, log: int, env: dict[str, str], passed: list[int]) -> int:
        """Start the copy and return its pid."""
        pid = fork()
        if pid == 0:
            self._become(order, log, env)
        with contextlib.suppress(OSError):  # it may have done so itself, and have ended
            os.setpgid(pid, pid)
        return pid

    def _become(self, order: LaunchOrder, log: int, env: dict[str, str]) -> NoReturn:
        """Run the module in this process, as ``python -m`` does, and end with its exit code."""
        import runpy  # noqa: PLC0415 - imported already

        code: object = 1
        try:
            self._leave_server(order, log, env)
            place = order["argv"].index("-m") + 1
            if "-P" not in order["argv"][:place]:
                sys.path.insert(0, os.getcwd())
            sys.argv = order["argv"][place:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:  # shown, as Python shows what nothing has caught
            sys.excepthook(*sys.exc_info())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        if not isinstance(code, int):
            os.write(2, f"{code}\n".encode())
            code = 1
        os._exit(code)

    def _leave_server(self, order: LaunchOrder, log: int, env: dict[str, str]) -> None:
        """Take the descriptors, signals, environment and directory of a program that was just started."""
        os.setpgid(0, 0)  # as the parent does: whichever comes first
        self._prepare(order["cpus"])()
        for fd in (signal.set_wakeup_fd(-1), *self.sources):
            os.close(fd)
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        for fd in (1, 2):
            os.dup2(log, fd)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(order["cwd"] or ".")
        if "gevent" in sys.modules:
            sys.modules["gevent"].reinit()


def wake_on_signals() -> socket.socket:
    """Return a socket on which the number of each end signal, and of SIGCHLD, can be read."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(os.dup(writer.fileno()), warn_on_full_buffer=False)
    for number in (*END_SIGNALS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)  # the harness starts it with them blocked
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
    """Serve the harness at the other end of a socket: the first argument is its descriptor, or the variable with it."""
    channel = socket.socket(fileno=int(os.environ.pop(sys.argv[1], sys.argv[1])))
    channel.set_inheritable(False)
    wake = wake_on_signals()
    if modules := sys.argv[2:]:
        supervisor: SupervisorProcess = WarmProcess(channel, modules)
    else:
        os.environ[OWNER_VARIABLE] = owner_identity()
        try:
            supervisor = SupervisorProcess(channel, make_scratch())
        except OSError as problem:
            failure = {"say": "failed", "order": 0, "errno": problem.errno, "path": problem.filename}
            channel.sendall(json.dumps(failure).encode() + b"\n")
            return
    supervisor.prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        with contextlib.suppress(ConnectionError):
            supervisor.serve(wake)
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
