"""A program that listens where nobody asks it: on another address or port than the one that it was given."""

import asyncio
import time
from dataclasses import dataclass, field

from harness.cluster.replicas.probes import ReadinessProbe
from harness.cluster.supervisor.listening import listening_addresses, process_tree

Address = tuple[str, int]

#: A program may open several sockets, one after another. So it counts as misplaced once its sockets have stayed the
#: same for so long: the shorter time if one of them has the right port, but another address.
_SETTLED_S = 0.5
_SETTLED_ON_ANOTHER_PORT_S = 2.0
_CONNECT_TO = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - binds nothing
_CHECK_INTERVAL_S = 0.2  # a check reads /proc for every process of the program


@dataclass
class MisplacedListener:
    """Watches a program that is starting.

    A socket on another port counts only if it answers ``ready`` as the service should: it may be for metrics or a
    debugger, and open long before the service is.
    """

    pid: int
    asked: Address
    ready: str | None
    addresses: set[Address] = field(default_factory=set)  # where it listens, as of the last check
    asked_in_vain: bool = True  # whether a connection to where it is asked failed then
    _since: float = field(default_factory=time.monotonic)
    _checked: float = 0.0

    async def found(self) -> bool:
        """Whether it listens for good, and not where it is asked."""
        now = time.monotonic()
        if now < self._checked + _CHECK_INTERVAL_S:
            return False
        self._checked = now
        addresses = await asyncio.to_thread(lambda: listening_addresses(process_tree(self.pid)))
        if addresses != self.addresses:
            self.addresses, self._since = addresses, now
        self.asked_in_vain = bool(await ReadinessProbe(None).problem(*self.asked))
        if not addresses or not self.asked_in_vain:
            return False
        settled_s = now - self._since
        if self.has_right_port:
            return settled_s >= _SETTLED_S
        return settled_s >= _SETTLED_ON_ANOTHER_PORT_S and await self.serves_elsewhere()

    @property
    def has_right_port(self) -> bool:
        """Whether it listens on the port that it was given, so that only the address is another one."""
        return self.asked[1] in {port for _, port in self.addresses}

    async def serves_elsewhere(self) -> bool:
        """Whether one of its sockets answers as the service should."""
        probe = ReadinessProbe(self.ready)
        problems = await asyncio.gather(
            *(probe.problem(_CONNECT_TO.get(host, host), port) for host, port in self.addresses)
        )
        return self.ready is not None and not all(problems)

    def describe(self) -> str:
        """Where it listens, in words."""
        return " and ".join(map(format_address, sorted(self.addresses)))


def format_address(address: Address) -> str:
    """``127.0.0.1:8000`` or ``[::1]:8000``."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
