"""How soon a member that joins or leaves is one, and whom that disturbs: each balancer under a small load.

python -m benchmarks.membership --rounds 5

Twelve clients with a cookie write without a rest, and newcomers without one come all the time. A join has taken effect
with the first newcomer that is sent there, a departure with the last reply from there.
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from harness.cluster.balancers import SPECS, start
from harness.cluster.capabilities import Balancer, Member
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.common.ports import LOOPBACK, Reservation
from harness.scenario.balancing import Balancing

CLIENTS = 12
_CALM = 0.3  # seconds between two changes
_WITHIN = 10.0


@dataclass
class Seen:
    """What the clients saw: when each member answered last, what failed, and whom."""

    last: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)  # when, and on which member the client was

    def since(self, moment: float, but: str = "") -> int:
        """Failed requests since then of clients that were not on this member."""
        return sum(when >= moment and home != but for when, home in self.failed)


@dataclass(frozen=True)
class Change:
    """One join or departure."""

    kind: str
    effect_s: float
    disturbed: int  # failed requests of sessions that it does not concern


async def client(url: str, seen: Seen) -> None:
    """Write on one connection, keeping the balancer's cookie."""
    home = ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        while True:
            home = await _ask(http, url, seen, home) or home
            await asyncio.sleep(0.005)


async def newcomers(url: str, seen: Seen) -> None:
    """One after another, each with a connection of its own and without a cookie."""
    while True:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            await _ask(http, url, seen, "")
        await asyncio.sleep(0.002)


async def _ask(http: aiohttp.ClientSession, url: str, seen: Seen, home: str) -> str:
    seen.requests += 1
    try:
        async with http.post(url, data=b"x") as reply:
            await reply.read()
            if reply.status == 200:
                seen.last[reply.headers["X-Replica"]] = time.monotonic()
                return reply.headers["X-Replica"]
    except aiohttp.ClientError:
        pass
    seen.failed.append((time.monotonic(), home))
    return ""


@contextlib.asynccontextmanager
async def member(name: str) -> AsyncIterator[Member]:
    """A member in this process, which says its name."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Replica": name})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    with Reservation() as held:
        await web.TCPSite(runner, LOOPBACK, held.port, reuse_port=True).start()
        try:
            yield Member(name, LOOPBACK, held.port)
        finally:
            await runner.cleanup()


async def joins(balancer: Balancer, new: Member, seen: Seen) -> Change:
    """Add a member; returns once a newcomer was sent there."""
    began = time.monotonic()
    await balancer.add(new)
    async with asyncio.timeout(_WITHIN):
        while seen.last.get(new.name, 0.0) < began:  # noqa: ASYNC110 - the balancer has no event to wait for
            await asyncio.sleep(0.001)
    effect = time.monotonic() - began
    await asyncio.sleep(_CALM)
    return Change("joins", effect, seen.since(began))


async def leaves(balancer: Balancer, name: str, seen: Seen) -> Change:
    """Remove a member; returns when it has been silent for a while."""
    began = time.monotonic()
    await balancer.remove(name)
    while time.monotonic() - max(seen.last.get(name, 0.0), began) < _CALM:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    return Change("leaves", max(0.0, seen.last[name] - began), seen.since(began, but=name))


async def measure(name: str, rounds: int, supervisor: Supervisor) -> tuple[list[Change], Seen]:
    """A third member joins and leaves, again and again."""
    seen, folder = Seen(), Path(tempfile.mkdtemp(dir=supervisor.scratch))
    async with contextlib.AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(f"r{number}")) for number in range(3)]
        port = stack.enter_context(Reservation()).port
        scope = start(Balancing("cookie", name), members[:2], supervisor, scratch=folder, logs=folder, port=port)
        balancer = await stack.enter_async_context(scope)
        users = [asyncio.create_task(client(balancer.url, seen)) for _ in range(CLIENTS)]
        users.append(asyncio.create_task(newcomers(balancer.url, seen)))
        try:
            await asyncio.sleep(1)
            changes = []
            for _ in range(rounds):
                changes.append(await joins(balancer, members[2], seen))
                changes.append(await leaves(balancer, members[2].name, seen))
        finally:
            for user in users:
                user.cancel()
            await asyncio.gather(*users, return_exceptions=True)
    return changes, seen


def row(name: str, changes: list[Change], seen: Seen) -> str:
    """A line of the table: the median and the longest of each kind, in milliseconds."""
    cells = []
    for kind in ("joins", "leaves"):
        effects = [1000 * change.effect_s for change in changes if change.kind == kind]
        disturbed = sum(change.disturbed for change in changes if change.kind == kind)
        cells += [f"{statistics.median(effects):.0f}, at most {max(effects):.0f}", str(disturbed)]
    return f"| {name} | {' | '.join(cells)} | {seen.requests:,} |"


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balancer", choices=tuple(SPECS), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(
        "| | a join takes effect after, ms | failed meanwhile | a departure after, ms | failed meanwhile | requests |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    async with start_supervisor("membership") as supervisor:
        for name in args.balancer or SPECS:
            changes, seen = await measure(name, args.rounds, supervisor)
            print(row(name, changes, seen), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
