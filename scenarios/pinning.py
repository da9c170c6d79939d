"""Which sessions break when a node joins, leaves or dies, depending on what pins clients to a node?

Clients are pinned by cookie, header, source address or connection, or not at all. The state is in memory, so a client
that moves has lost it.

harness run scenarios/pinning.py
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Kill,
    ScaleOut,
    Scenario,
    Sessions,
    Terminate,
    clean_control,
    finds,
    keeps,
    may_lose,
)
from harness.recipes import Shopper, between

N = 3
PINNED = ("cookie", "header", "connection")


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)


DESIGNS = (
    Design("stateless", BuiltIn(state="token"), Balancing("round_robin"), at_risk="none"),
    Design("round_robin", BuiltIn(state="memory"), Balancing("round_robin")),
    Design("cookie", BuiltIn(state="memory"), Balancing("cookie")),
    Design("header", BuiltIn(state="memory"), Balancing("hash_header", key="X-User")),
    Design("source", BuiltIn(state="memory"), Balancing("source")),
    Design("connection", BuiltIn(state="memory"), Balancing("connection")),
)
EXPECT = (
    keeps("stateless"),
    finds("round_robin", among=("lost", "stale")),
    finds(*PINNED, among=("lost",)),
    may_lose("source"),  # by the source address, all or none are on the replica that dies
    # Not for connections: the final read opens a new connection, which reaches another replica two times in three.
    clean_control("stateless", "cookie", "header", "source"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=N,
    load=Sessions(concurrent=200, duration="12s", warmup="1s"),
    faults=[At("3s", ScaleOut(to=N + 1)), At("6s", Terminate(0, drain=True)), At("9s", Kill(1))],
    expect=EXPECT,
)
