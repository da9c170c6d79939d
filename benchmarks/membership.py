"""How fast each balancer applies a join or departure of a member, and what it disturbs, under a small load.

python -m benchmarks.membership --rounds 5

Twelve clients with a cookie write without pauses, and new clients without a cookie arrive all the time. A join takes
effect with the first new client that is sent to the member, a departure with the last response from the member.
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
_PAUSE_S = 0.3  # between two changes
_JOIN_TIMEOUT_S = 10.0


@dataclass
class Observations:
    """What the clients saw: when each member answered last, and which requests failed."""

    last_response: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)  # when, and the member of the client

    def failures_since(self, moment: float, except_on: str = "") -> int:
        """Count failed requests since ``moment``, except those of clients of one member."""
        return sum(when >= moment and home != except_on for when, home in self.failures)


@dataclass(frozen=True)
class Change:
    """One join or departure."""

    kind: str
    effect_s: float
    disturbed: int  # failed requests of clients that it should not affect


async def client(url: str, seen: Observations) -> None:
    """Write on one connection, and keep the cookie of the balancer."""
    home = ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        while True:
            home = await _send(http, url, seen, home) or home
            await asyncio.sleep(0.005)


async def new_clients(url: str, seen: Observations) -> None:
    """Send one request after another, each on a new connection and without a cookie."""
    while True:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            await _send(http, url, seen, "")
        await asyncio.sleep(0.002)


async def _send(http: aiohttp.ClientSession, url: str, seen: Observations, home: str) -> str:
    seen.requests += 1
    try:
        async with http.post(url, data=b"x") as response:
            await response.read()
            if response.status == 200:
                seen.last_response[response.headers["X-Replica"]] = time.monotonic()
                return response.headers["X-Replica"]
    except aiohttp.ClientError:
        pass
    seen.failures.append((time.monotonic(), home))
    return ""


@contextlib.asynccontextmanager
async def member(name: str) -> AsyncIterator[Member]:
    """Run a member in this process that returns its name."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Replica": name})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    with Reservation() as reservation:
        await web.TCPSite(runner, LOOPBACK, reservation.port, reuse_port=True).start()
        try:
            yield Member(name, LOOPBACK, reservation.port)
        finally:
            await runner.cleanup()


async def join(balancer: Balancer, new: Member, seen: Observations) -> Change:
    """Add a member; returns when a new client was sent to it."""
    start_time = time.monotonic()
    await balancer.add(new)
    async with asyncio.timeout(_JOIN_TIMEOUT_S):
        while seen.last_response.get(new.name, 0.0) < start_time:  # noqa: ASYNC110 - the balancer has no event to wait for
            await asyncio.sleep(0.001)
    effect = time.monotonic() - start_time
    await asyncio.sleep(_PAUSE_S)
    return Change("joins", effect, seen.failures_since(start_time))


async def leave(balancer: Balancer, name: str, seen: Observations) -> Change:
    """Remove a member; returns when it has not answered for a while."""
    start_time = time.monotonic()
    await balancer.remove(name)
    while time.monotonic() - max(seen.last_response.get(name, 0.0), start_time) < _PAUSE_S:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    return Change(
        "leaves", max(0.0, seen.last_response[name] - start_time), seen.failures_since(start_time, except_on=name)
    )


async def measure(name: str, rounds: int, supervisor: Supervisor) -> tuple[list[Change], Observations]:
    """Let a third member join and leave ``rounds`` times."""
    seen, folder = Observations(), Path(tempfile.mkdtemp(dir=supervisor.scratch))
    async with contextlib.AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(f"r{number}")) for number in range(3)]
        port = stack.enter_context(Reservation()).port
        scope = start(Balancing("cookie", name), members[:2], supervisor, scratch=folder, logs=folder, port=port)
        balancer = await stack.enter_async_context(scope)
        users = [asyncio.create_task(client(balancer.url, seen)) for _ in range(CLIENTS)]
        users.append(asyncio.create_task(new_clients(balancer.url, seen)))
        try:
            await asyncio.sleep(1)
            changes = []
            for _ in range(rounds):
                changes.append(await join(balancer, members[2], seen))
                changes.append(await leave(balancer, members[2].name, seen))
        finally:
            for user in users:
                user.cancel()
            await asyncio.gather(*users, return_exceptions=True)
    return changes, seen


def row(name: str, changes: list[Change], seen: Observations) -> str:
    """A row of the table: the median and the maximum of each kind of change, in milliseconds."""
    cells = []
    for kind in ("joins", "leaves"):
        effects = [1000 * change.effect_s for change in changes if change.kind == kind]
        disturbed = sum(change.disturbed for change in changes if change.kind == kind)
        cells += [f"{statistics.median(effects):.0f}, at most {max(effects):.0f}", str(disturbed)]
    return f"| {name} | {' | '.join(cells)} | {seen.requests:,} |"


async def main() -> None:
    """Measure the balancers, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balancer", choices=tuple(SPECS), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| | join effective, ms | failed meanwhile | departure effective, ms | failed meanwhile | requests |")
    print("| --- | --- | --- | --- | --- | --- |")
    async with start_supervisor("membership") as supervisor:
        for name in arguments.balancer or SPECS:
            changes, seen = await measure(name, arguments.rounds, supervisor)
            print(row(name, changes, seen), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
