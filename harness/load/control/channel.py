"""The control channel's words, as JSON lines: from bytes and to bytes (docs/wire.md)."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.observations.samples import Snapshot


@dataclass(frozen=True)
class StartLoad:
    """Begin at ``t0`` (CLOCK_MONOTONIC, ns) against ``url``, for ``duration`` seconds."""

    t0: int
    duration: float
    warmup: float
    url: str

    @property
    def is_loopback(self) -> bool:
        """Whether the URL names this machine by a name that every machine has for itself."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")


@dataclass(frozen=True)
class ReplicaStarting:
    """A replica that does not tell its boot id itself is about to start with this one."""

    replica: str
    boot: str


@dataclass(frozen=True)
class StopLoad:
    """Send no further request."""


@dataclass(frozen=True)
class StartSweep:
    """Read every session once more, at ``rate`` a second."""

    rate: float = 2000.0


@dataclass(frozen=True)
class WorkerExited:
    """A worker's process has ended."""

    worker: str
    why: str


@dataclass(frozen=True)
class Assignment:
    """To a worker: it is the ``nth``, from 0, ``of`` so many, of a load (``LoadPlan``) with this seed.

    ``machine`` is the master's; ``sends`` tells that what is recorded has to be sent there.
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
    """To a worker: the master's clock read ``there`` when the worker's ``Tick`` came."""

    sent: int
    there: int


@dataclass(frozen=True)
class Hello:
    """A worker is there: the number that it goes by (0: none yet), the host, what tells machines apart, its version."""

    nth: int
    host: str
    machine: str
    version: str


@dataclass(frozen=True)
class ClockRequest:
    """A worker asks for the master's clock; its own reads ``sent``."""

    sent: int


@dataclass(frozen=True)
class Joined:
    """A worker takes part. T0 is exact to ``clock_error_ms`` there: 0 on the machine of the master."""

    worker: str
    host: str
    clock_error_ms: float


@dataclass(frozen=True)
class WorkerLost:
    """A worker has died, or says nothing any more; ``sessions`` of its own are not judged."""

    worker: str
    host: str
    why: str
    sessions: int


@dataclass(frozen=True)
class Ready:
    """The users are there and wait."""


@dataclass(frozen=True)
class Stopped:
    """The last request has ended."""


@dataclass(frozen=True)
class Swept:
    """The spool and the ledgers of so many sessions are complete."""

    sessions: int


@dataclass(frozen=True)
class Broken:
    """The load process cannot go on: ``code`` is the exit code that this calls for."""

    message: str
    hint: str
    code: int


ControlCommand = ReplicaStarting | StartLoad | StopLoad | StartSweep | WorkerExited | Assignment | ClockReply
ControlEvent = Ready | Snapshot | Stopped | Swept | Broken | Hello | ClockRequest | Joined | WorkerLost

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
}


class ChannelError(Exception):
    """A line that is no message of this channel."""


def encode(message: ControlCommand | ControlEvent) -> bytes:
    """One line."""
    for verb, kinds in (("do", _COMMANDS), ("say", _EVENTS)):
        for name, kind in kinds.items():
            if type(message) is kind:
                return json.dumps({verb: name, **asdict(message)}).encode() + b"\n"
    raise ChannelError(f"not a message: {message!r}")


def decode_command(line: bytes) -> ControlCommand:
    """What the harness asks for."""
    deed: ControlCommand = _decode(line, "do", _COMMANDS)
    return deed


def decode_event(line: bytes) -> ControlEvent:
    """What the load process says."""
    word: ControlEvent = _decode(line, "say", _EVENTS)
    return word


def _decode(line: bytes, verb: str, kinds: dict[str, type[Any]]) -> Any:
    try:
        fields = json.loads(line)
        return kinds[fields.pop(verb)](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ChannelError(f"not a message: {line[:200]!r} ({problem!r})") from problem


class LineSplitter:
    """Bytes in any pieces to whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        yield from lines
