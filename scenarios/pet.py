"""Pets and their volumes: a replica with a stable identity is killed and comes back, with its volume or without it.

As in a StatefulSet, its clients wait for it and no other replica takes them. Its state returns with its volume and is
lost without it; either way only the sessions of this replica are affected.

harness run scenarios/pet.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Health,
    Kill,
    LoseVolume,
    Restart,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    loses_the_at_risk,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.15)


#: Clients wait for their own replica, however long it is away.
OWN = Balancing("cookie", redispatch=False, health=Health(interval="200ms", fall=100))

DESIGNS = (
    Design("volume_kept", BuiltIn(state="eventlog"), OWN, at_risk="none"),
    Design("volume_lost", BuiltIn(state="eventlog"), OWN, at_risk="victim"),
)
EXPECT = (
    keeps("volume_kept"),
    loses_the_at_risk("volume_lost", judged=60),
    clean_control("volume_kept", "volume_lost"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="12s", warmup="1s"),
    faults=[
        At("5s", Kill(replica=1)),
        At("6s", LoseVolume(replica=1), only=("volume_lost",)),
        At("7s", Restart(replica=1)),
    ],
    expect=EXPECT,
)
