"""The messages of the control channel: their types, and JSON lines from and to bytes (docs/load-process.md)."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.observations.samples import Snapshot


@dataclass(frozen=True)
class StartLoad:
    """Start the load on ``url`` at ``t0`` (CLOCK_MONOTONIC, ns); ``duration`` and ``warmup`` are in seconds."""

    t0: int
    duration: float
    warmup: float
    url: str

    @property
    def is_loopback(self) -> bool:
        """Whether the host of the URL is a loopback address, which other machines cannot reach."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")


@dataclass(frozen=True)
class ReplicaStarting:
    """A replica is about to start with this boot id; sent for replicas that do not report it themselves."""

    replica: str
    boot: str


@dataclass(frozen=True)
class StopLoad:
    """Send no further request."""


@dataclass(frozen=True)
class StartSweep:
    """Read every session once more, at ``rate`` sessions per second."""

    rate: float = 2000.0


@dataclass(frozen=True)
class WorkerExited:
    """A worker's process has ended."""

    worker: str
    why: str


@dataclass(frozen=True)
class Assignment:
    """To a worker: its shard is number ``nth`` (from 0) ``of`` a load (``LoadPlan``) with this seed.

    ``machine`` is the machine of the master. If ``sends``, the worker uploads its records there.
    """

    nth: int
    of: int
    load: dict[str, Any]
    seed: int
    machine: str
    sends: bool
    records: bool


@dataclass(frozen=True)
class ClockReply:
    """To a worker: the clock of the master was ``there`` (ns) when the ``ClockRequest`` with this ``sent`` arrived."""

    sent: int
    there: int


@dataclass(frozen=True)
class Hello:
    """A worker has connected: its number (0: none yet), its host, the id of its machine, and its version."""

    nth: int
    host: str
    machine: str
    version: str


@dataclass(frozen=True)
class ClockRequest:
    """A worker asks for the clock of the master; its own was ``sent`` (ns)."""

    sent: int


@dataclass(frozen=True)
class Joined:
    """A worker takes part. On its machine, T0 is exact to ``clock_error_ms``: 0 on the machine of the master."""

    worker: str
    host: str
    clock_error_ms: float


@dataclass(frozen=True)
class WorkerLost:
    """A worker has died or stopped responding; its ``sessions`` sessions are not judged."""

    worker: str
    host: str
    why: str
    sessions: int


@dataclass(frozen=True)
class Ready:
    """All users exist and wait for the start."""


@dataclass(frozen=True)
class Stopped:
    """The last request has ended."""


@dataclass(frozen=True)
class Swept:
    """The spool and the ledgers of ``sessions`` sessions are complete."""

    sessions: int


@dataclass(frozen=True)
class Records:
    """The next bytes (``chunk``, in base64) of a ``file`` of the spool, from a load that shares no files."""

    file: str
    chunk: str


@dataclass(frozen=True)
class Broken:
    """The load process cannot continue; ``code`` is the exit code for the harness."""

    message: str
    hint: str
    code: int


ControlCommand = ReplicaStarting | StartLoad | StopLoad | StartSweep | WorkerExited | Assignment | ClockReply
ControlEvent = Ready | Snapshot | Stopped | Swept | Broken | Hello | ClockRequest | Joined | WorkerLost | Records

_COMMANDS: dict[str, type[Any]] = {
    "booting": ReplicaStarting,
    "start": StartLoad,
    "stop": StopLoad,
    "sweep": StartSweep,
    "gone": WorkerExited,
    "enlisted": Assignment,
    "tock": ClockReply,
}
_EVENTS: dict[str, type[Any]] = {
    "hello": Hello,
    "tick": ClockRequest,
    "joined": Joined,
    "lost": WorkerLost,
    "ready": Ready,
    "snapshot": Snapshot,
    "stopped": Stopped,
    "swept": Swept,
    "broken": Broken,
    "records": Records,
}


class ChannelError(Exception):
    """A line is not a message of this channel."""


def encode(message: ControlCommand | ControlEvent) -> bytes:
    """Encode a message as one line.

    Raises:
        ChannelError: it is not a message of this channel.
    """
    for verb, types in (("do", _COMMANDS), ("say", _EVENTS)):
        for name, message_type in types.items():
            if type(message) is message_type:
                return json.dumps({verb: name, **asdict(message)}).encode() + b"\n"
    raise ChannelError(f"not a message: {message!r}")


def decode_command(line: bytes) -> ControlCommand:
    """Decode a line from the harness.

    Raises:
        ChannelError: it is not a command.
    """
    command: ControlCommand = _decode(line, "do", _COMMANDS)
    return command


def decode_event(line: bytes) -> ControlEvent:
    """Decode a line from the load process.

    Raises:
        ChannelError: it is not an event.
    """
    event: ControlEvent = _decode(line, "say", _EVENTS)
    return event


def _decode(line: bytes, verb: str, types: dict[str, type[Any]]) -> Any:
    try:
        fields = json.loads(line)
        return types[fields.pop(verb)](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ChannelError(f"not a message: {line[:200]!r} ({problem!r})") from problem


class LineSplitter:
    """Splits a stream of bytes, in any pieces, into complete lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        yield from lines
