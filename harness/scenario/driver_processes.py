"""How a load is driven: by how many processes, here and elsewhere, and what is kept of it."""

from dataclasses import dataclass

from harness.common.errors import UsageError

DEFAULT_BIND = "127.0.0.1:5557"  # Locust's own port


@dataclass(frozen=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str, flag: str) -> "Address":
        """From ``HOST:PORT``, or a host alone with Locust's usual port.

        Raises:
            UsageError: it is no such thing.
        """
        host, _, port = text.rpartition(":") if ":" in text else (text, "", "5557")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise UsageError(f"{flag} {text!r} is no address", f"{flag} {DEFAULT_BIND}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class DriverProcesses:
    """``processes`` of this machine drive, and ``elsewhere`` workers that come to ``bind`` by themselves.

    One process alone needs no master. Without ``processes`` none of this machine drives, where others do.
    """

    processes: int | None = None
    elsewhere: int = 0
    bind: Address | None = None  # None: a free port of this machine
    records: bool = True  # of every request; else tallies alone, whose memory does not grow

    def __post_init__(self) -> None:
        if (self.processes or 0) < 0 or self.elsewhere < 0 or self.processes == 0:
            raise UsageError("processes and workers are at least 1", "--processes 2, --expect-workers 1")
        if self.bind is not None and not self.elsewhere:
            raise UsageError("--master-bind is where workers come to, and none is expected", "--expect-workers 1")

    @property
    def here(self) -> int:
        """How many processes of this machine drive."""
        return (0 if self.elsewhere else 1) if self.processes is None else self.processes

    @property
    def workers(self) -> int:
        """How many there are under a master; 0 where one process drives by itself."""
        return self.here + self.elsewhere if self.elsewhere or self.here > 1 else 0


#: One process, as it usually is.
ONE_PROCESS = DriverProcesses()
