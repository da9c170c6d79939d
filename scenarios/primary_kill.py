"""What of the acknowledged writes outlives a store's primary? Three replicated stores, asked for nothing to be lost.

harness run scenarios/primary_kill.py

Each first loses a replica of the service, then the server that leads its store.
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
#: Versions are checked, so that a write which is late cannot undo the next: what is lost then is the store's doing.
DESIGNS = [
    Design(name, BuiltIn(state=name, options={"versioned": "yes"}), Balancing("round_robin"), at_risk="none")
    for name in NAMES
]
EXPECT = (keeps(*NAMES), clean_control(*NAMES))

# NATS takes four to nine seconds to elect its next leader: in the short form perhaps too near to the end to be seen.
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
