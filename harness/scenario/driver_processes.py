"""How a load is generated: by how many processes, on this and other machines, and which records they keep."""

import secrets
from dataclasses import dataclass, field

from harness.common.errors import UsageError

MIN_TOKEN_LENGTH = 16
DEFAULT_BIND = "127.0.0.1:5557"  # Locust's own port


@dataclass(frozen=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, flag: str) -> "Address":
        """Parse ``HOST:PORT``, or a host alone with Locust's usual port.

        Raises:
            UsageError: the text is not an address.
        """
        host, _, port = text.rpartition(":") if ":" in text else (text, "", "5557")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise UsageError(f"{flag} {text!r} is not an address", f"{flag} {DEFAULT_BIND}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class DriverProcesses:
    """``processes`` on this machine, and ``elsewhere`` workers on other machines, which connect to ``bind``.

    A single process needs no master. Without ``processes``, no worker runs on this machine if there are others. A load
    from ``inside`` a cluster comes from that many pods, and from nowhere else.
    """

    processes: int | None = None
    elsewhere: int = 0
    bind: Address | None = None  # None: a free port of this machine
    inside: int = 0
    records: bool = True  # keep a record of every request; otherwise only histograms, whose memory does not grow
    token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False, compare=False)  # workers show it

    def __post_init__(self) -> None:
        if len(self.token) < MIN_TOKEN_LENGTH:
            raise UsageError(f"the token of workers has at least {MIN_TOKEN_LENGTH} characters", "openssl rand -hex 32")
        if (self.processes or 0) < 0 or self.elsewhere < 0 or self.processes == 0 or self.inside < 0:
            raise UsageError("processes and workers must be at least 1", "--processes 2, --expect-workers 1")
        if self.inside and (self.processes or self.elsewhere):
            raise UsageError("a load comes from pods or from machines, not from both", "--load-inside 2 alone")
        if self.bind is not None and not self.elsewhere:
            raise UsageError(
                "--master-bind is for workers on other machines, and none is expected", "--expect-workers 1"
            )

    @property
    def here(self) -> int:
        """How many processes run on this machine."""
        return (0 if self.elsewhere or self.inside else 1) if self.processes is None else self.processes

    @property
    def workers(self) -> int:
        """The number of processes under a master; 0 if a single process needs none."""
        count = self.here + self.elsewhere + self.inside
        return count if self.elsewhere or count > 1 else 0

    @property
    def uploads(self) -> bool:
        """Whether records are transferred to this machine after the load."""
        return bool(self.elsewhere or self.inside)

    @property
    def controls(self) -> "DriverProcesses":
        """What drives the controls of a run: a single process, where the load comes from."""
        return DriverProcesses(inside=1) if self.inside else ONE_PROCESS


#: A single process: the default.
ONE_PROCESS = DriverProcesses()
