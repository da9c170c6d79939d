"""Which acknowledged writes survive the death of a store's primary? Three replicated stores, set up to lose nothing.

harness run scenarios/primary_kill.py

Each store first sees a replica of the service die, then loses the server that leads it.
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Heal,
    Kill,
    KillPrimary,
    Restart,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    recovers,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""

    wait_time = between(0.1, 0.3)


NAMES = ("etcd", "hazelcast", "nats")
#: Versions are checked, so a late write cannot undo the next one: any loss is then caused by the store.
DESIGNS = [
    Design(name, BuiltIn(state=name, options={"versioned": "yes"}), Balancing("round_robin"), at_risk="none")
    for name in NAMES
]
EXPECT = (keeps(*NAMES), clean_control(*NAMES))

# NATS takes four to nine seconds to elect its next leader: the short form may end before that.
SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=90, duration="25s", warmup="1s"),
    faults=[
        At("3s", Kill(replica=1)),
        At("5s", Restart(replica=1)),
        At("8s", KillPrimary()),
        At("20s", Heal(KillPrimary())),
    ],
    expect=[*EXPECT, recovers(*NAMES)],
    quick=Scenario(
        designs=DESIGNS,
        replicas=3,
        load=Sessions(concurrent=60, duration="11s", warmup="300ms"),
        faults=[At("600ms", Kill(replica=1)), At("1s", Restart(replica=1)), At("1500ms", KillPrimary())],
        expect=EXPECT,
    ),
)
