"""Which sessions move when a replica is added? A consistent hash moves 1 in N+1, a modulo hash N in N+1, a cookie none.

harness run scenarios/scale_out.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    ScaleOut,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    may_lose,
    moves_a_share,
)
from harness.recipes import Shopper

N = 3


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)


DESIGNS = (
    Design("cookie", BuiltIn(state="memory"), Balancing("cookie")),
    Design("consistent", BuiltIn(state="memory"), Balancing("hash_header", key="X-User")),
    Design("modulo", BuiltIn(state="memory"), Balancing("modulo_header", key="X-User")),
)
# The shares of a ring of 200 keys on 4 members vary by a few per cent.
EXPECT = (
    moves_a_share("cookie", share=0.0, within=0.0),
    moves_a_share("consistent", share=1 / (N + 1), within=0.1),
    moves_a_share("modulo", share=N / (N + 1), within=0.1),
    keeps("cookie"),
    may_lose("consistent", "modulo"),  # as many as move
    clean_control("cookie", "consistent", "modulo"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=N,
    load=Sessions(concurrent=200, duration="10s", warmup="1s"),
    faults=[At("4s", ScaleOut(to=N + 1))],
    expect=EXPECT,
)
