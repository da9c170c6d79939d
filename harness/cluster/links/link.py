"""Links: connections between parts that a proxy in between can hold, slow down or cut."""

import asyncio
import contextlib
import json
import sys
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
from harness.common.waiting import wait_until

_READY_TIMEOUT_S = 5.0
_REPLY_TIMEOUT_S = 2.0
_POLL_INTERVAL_S = 0.01


@dataclass(frozen=True)
class Route:
    """A link to make: its name, and the port at its far end."""

    name: str
    target: int


class AddressableLink(Link, Protocol):
    """A link with the address that the parts at its ends have to use."""

    @property
    def port(self) -> int | None:
        """The port that replaces the port of the far end; None if the link uses no proxy."""

    def rewrite_url(self, url: str) -> str:
        """Return the URL of the far end, rewritten to lead through this link."""


@dataclass(frozen=True)
class ProxiedLink:
    """One link, with its own port in place of the port of the far end."""

    name: str
    port: int
    control: Path

    def rewrite_url(self, url: str) -> str:
        """Return the URL of the far end, rewritten to lead through this link."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.hostname}:{self.port}").geturl()

    async def set_state(self, state: LinkState) -> Evidence:
        """Change what the link does: confirmed when the proxy says so.

        The facts are the connections concerned, and the bytes held and dropped since the last change.

        Raises:
            UntrustedError: the proxy does not answer.
        """
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self.control)
                with contextlib.closing(writer):
                    writer.write(json.dumps({"link": self.name, **asdict(state)}).encode() + b"\n")
                    reply = json.loads(await reader.readline())
        except (OSError, ValueError) as problem:
            raise UntrustedError(f"the proxy of {self.name} does not answer: {problem!r}", "see proxy.log") from problem
        return Evidence(reply["link"] == self.name, reply)


@asynccontextmanager
async def open_links(
    supervisor: Supervisor, routes: Iterable[Route], logs: Path
) -> AsyncIterator[Mapping[str, ProxiedLink]]:
    """Open the links for the length of a scope; yield them by name. Without routes, no proxy is started.

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
        links = [f"{route.name}={ports[route.name]}:{route.target}" for route in routes]
        argv = (sys.executable, "-I", "-S", str(Path(proxy.__file__)), str(control), *links)
        child = await supervisor.spawn(ProcessSpec("proxy", "proxy", argv, logs / "proxy.log"))
        scope.push_async_callback(child.stop, 1.0)
        await _require_ready(child, control)
        yield {name: ProxiedLink(name, port, control) for name, port in ports.items()}


async def _require_ready(child: Child, control: Path) -> None:
    """Wait until the proxy accepts connections: its socket exists a moment before that."""

    async def accepts() -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(control)
            writer.close()
            return True
        return False

    async def ready_or_ended() -> bool:
        return not child.alive or await accepts()

    if not await wait_until(ready_or_ended, _READY_TIMEOUT_S, _POLL_INTERVAL_S) or not child.alive:
        raise EnvironmentLacksError(f"the proxy on links did not start: {child.log_tail(3)}", "see proxy.log")
