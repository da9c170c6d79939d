"""Links: connections between parts that can be held up, slowed down or cut, by a proxy of ours in between."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from harness.cluster.capabilities import Evidence, Link, LinkState
from harness.cluster.links import proxy
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.common.errors import EnvironmentLacksError, UntrustedError
from harness.common.ports import Reservation

_READY_TIMEOUT_S = 5.0  # seconds
_POLL_INTERVAL_S = 0.01


@dataclass(frozen=True)
class Route:
    """A link to make: its name, and the port at its far end."""

    name: str
    target: int


class AddressableLink(Link, Protocol):
    """A link as the parts at its ends are told of it."""

    @property
    def port(self) -> int | None:
        """Where it stands in for the far end; None where nothing stands in between."""

    def rewrite_url(self, url: str) -> str:
        """The far end's URL, by way of this link."""


@dataclass(frozen=True)
class ProxiedLink:
    """One link, at a port of its own that stands for the far end's."""

    name: str
    port: int
    control: Path

    def rewrite_url(self, url: str) -> str:
        """The far end's URL, by way of this link."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.hostname}:{self.port}").geturl()

    async def set_state(self, condition: LinkState) -> Evidence:
        """From now on be so: landed when the proxy says that it is.

        The facts are the connections concerned, and the bytes held and dropped since it was last told something.

        Raises:
            UntrustedError: the proxy does not answer.
        """
        try:
            async with asyncio.timeout(2.0):
                reader, writer = await asyncio.open_unix_connection(self.control)
                with contextlib.closing(writer):
                    writer.write(json.dumps({"link": self.name, **asdict(condition)}).encode() + b"\n")
                    told = json.loads(await reader.readline())
        except (OSError, ValueError) as problem:
            raise UntrustedError(f"the proxy of {self.name} does not answer: {problem!r}", "see proxy.log") from problem
        return Evidence(told["link"] == self.name, told)


@asynccontextmanager
async def open_links(
    supervisor: Supervisor, routes: Iterable[Route], logs: Path
) -> AsyncIterator[Mapping[str, ProxiedLink]]:
    """The links by name, for the length of a scope; none at all, and no proxy, where there is no route.

    Raises:
        EnvironmentLacksError: the proxy does not start.
    """
    routes = list(routes)
    if not routes:
        yield {}
        return
    async with AsyncExitStack() as scope:
        ports = {route.name: scope.enter_context(Reservation()).port for route in routes}
        control = supervisor.scratch / f"links-{min(ports.values())}.sock"
        words = [f"{route.name}={ports[route.name]}:{route.target}" for route in routes]
        argv = (sys.executable, "-I", "-S", str(Path(proxy.__file__)), str(control), *words)
        child = await supervisor.spawn(ProcessSpec("proxy", "proxy", argv, logs / "proxy.log"))
        scope.push_async_callback(child.stop, 1.0)
        await _ready(child, control)
        yield {name: ProxiedLink(name, port, control) for name, port in ports.items()}


async def _ready(child: Child, control: Path) -> None:
    give_up = time.monotonic() + _READY_TIMEOUT_S
    while not control.exists():  # noqa: ASYNC240 - a look at a directory of our own
        if not child.alive or time.monotonic() > give_up:
            raise EnvironmentLacksError(f"the proxy on links did not start: {child.log_tail(3)}", "see proxy.log")
        await asyncio.sleep(_POLL_INTERVAL_S)
