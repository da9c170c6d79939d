"""What a supervisor starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.common.limits import UNLIMITED, Limits

ROLES = ("replica", "balancer", "store", "proxy", "driver")


@dataclass(frozen=True)
class ProcessSpec:
    """A program to start.

    ``env`` and ``secrets`` are added to the environment of the harness. What is among the ``secrets`` is kept in no
    manifest. Without ``cpus``, the role decides on which cores it runs.
    ``port`` is where it listens, as it does at ``more_ports``: a container opens them to the harness. ``limits`` apply
    in a container only. What a ``durable`` one writes into ``cwd`` is there when it starts again, whatever happened.
    """

    name: str
    role: str  # one of ROLES
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    cpus: tuple[int, ...] = ()
    port: int | None = None
    limits: Limits = UNLIMITED
    more_ports: tuple[int, ...] = ()
    durable: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, not {self.role!r}")
        if not self.name or not self.argv:
            raise ValueError("a command needs a name and a program")
