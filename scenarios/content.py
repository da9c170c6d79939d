"""Immutable objects and forecasts: any replica can answer any request, and client caching avoids many requests.

harness run scenarios/content.py

The client caches as a browser does: by ``max-age``, and with ``If-None-Match`` after that has expired.
"""

import hashlib
import random
import re
import time
import zlib
from dataclasses import dataclass

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Kill,
    Response,
    Restart,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    Sleep,
    clean_control,
    keeps,
)
from harness.oracle.models import stateless

#: The number of things of each kind, the lookups per visit, and the longest run of cache hits that a name counts.
THINGS, LOOKUPS, RUN = 40, 120, 20


@dataclass(frozen=True)
class Kept:
    """A cache entry."""

    tag: str
    fresh_until: float


def fits(path: str, reply: Response) -> bool:
    """Whether the content is the same as any replica would send (targets/apps/content.py)."""
    name = path.partition("=")[2]
    if reply.status == 304:
        return True
    if path.startswith("/object"):
        return reply.body == hashlib.sha256(name.encode()).hexdigest().encode() * 32
    forecast = reply.json()
    return bool(forecast["celsius"] == zlib.crc32(f"{name}/{forecast['period']}".encode()) % 60 - 20)


class Reader(SessionUser):
    """Looks things up, popular ones most often; requests only what is not in the cache or is no longer fresh."""

    wait_time = between(0.005, 0.02)
    model = stateless

    def session(self, site: Client) -> SessionSteps:
        chance, cache, hits = random.Random(site.number), dict[str, Kept](), 0
        for _ in range(LOOKUPS):
            path = looked_up(chance)
            kept = cache.get(path)
            if kept is not None and time.monotonic() < kept.fresh_until:
                hits += 1
                yield Sleep(0.01)
                continue
            headers = {"If-None-Match": kept.tag} if kept else None
            counted = min(hits, RUN)
            reply = yield site.get(
                path,
                headers=headers,
                name=f"asked after {counted} hits",
                check=lambda reply, path=path: fits(path, reply),
            )
            hits -= counted
            if reply.ok:
                age = int(re.findall(r"max-age=(\d+)", reply.headers["cache-control"])[0])
                cache[path] = Kept(reply.headers["etag"], time.monotonic() + age)


def looked_up(chance: random.Random) -> str:
    """A path: half of them are forecasts; the nth thing is requested about 1/n as often as the first."""
    nth = min(THINGS, int(THINGS ** chance.random()))
    return f"/weather?place=p{nth}" if chance.random() < 0.5 else f"/object?id=o{nth}"


DESIGNS = (Design("content", BuiltIn("content", state="none"), Balancing("round_robin"), at_risk="none"),)
EXPECT = (keeps("content"), clean_control("content"))

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=80, duration="12s", warmup="1s"),
    faults=[At("4s", Kill(replica=1)), At("8s", Restart(replica=1))],
    expect=EXPECT,
)
