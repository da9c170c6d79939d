"""Immutable objects and forecasts: any replica answers in any order, and much is never asked because the client has it.

harness run scenarios/content.py

The client keeps a cache as a browser does: by ``max-age``, and by ``If-None-Match`` when that is over.
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

#: How many things there are of each kind, how many lookups a visit has, and the highest run of hits in a name.
THINGS, LOOKUPS, RUN = 40, 120, 20


@dataclass(frozen=True)
class Kept:
    """What the cache holds of one thing."""

    tag: str
    fresh_until: float


def fits(path: str, reply: Response) -> bool:
    """Whether the content is what every replica must say (targets/apps/content.py)."""
    name = path.partition("=")[2]
    if reply.status == 304:
        return True
    if path.startswith("/object"):
        return reply.body == hashlib.sha256(name.encode()).hexdigest().encode() * 32
    forecast = reply.json()
    return bool(forecast["celsius"] == zlib.crc32(f"{name}/{forecast['period']}".encode()) % 60 - 20)


class Reader(SessionUser):
    """Looks things up, popular ones most often; asks only for what is not in the cache, or no longer fresh."""

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
    """A path: half of them forecasts; the nth thing is asked for about 1/n as often as the first."""
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
