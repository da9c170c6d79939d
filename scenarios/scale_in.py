"""Which sessions are lost when a replica is removed? Those it held; with a modulo hash nearly all.

harness run scenarios/scale_in.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    ScaleIn,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    loses_the_at_risk,
    may_lose,
    moves_a_share,
)
from harness.recipes import Shopper

N = 4


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)


DESIGNS = (
    Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="none"),
    Design("cookie", BuiltIn(state="memory"), Balancing("cookie"), at_risk="victim"),
    Design("consistent", BuiltIn(state="memory"), Balancing("hash_header", key="X-User"), at_risk="victim"),
    Design("modulo", BuiltIn(state="memory"), Balancing("modulo_header", key="X-User")),
)
EXPECT = (
    keeps("hybrid"),
    loses_the_at_risk("cookie", "consistent", judged=100),
    may_lose("modulo"),  # as many as move
    moves_a_share("cookie", "consistent", share=1 / N, within=0.1),
    moves_a_share("modulo", share=1 - 1 / N, within=0.1),
    clean_control("hybrid", "cookie", "consistent", "modulo"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=N,
    load=Sessions(concurrent=200, duration="10s", warmup="1s"),
    faults=[At("4s", ScaleIn(to=N - 1, drain=True, grace="1s"))],
    expect=EXPECT,
)
