"""What does the death of a store's first server cost? That depends on which other server has the acknowledged writes.

harness run scenarios/store_failover.py

First a replica of the service dies, which holds nothing. Then the store's only server dies and comes back; or, with
redis_sentinel, the primary dies and its replica takes over. The replica is cut off a second earlier and lags, so all
that the primary acknowledges after the cut is lost. Stores that wait for other servers are in primary_kill.
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    CutReplication,
    Design,
    Heal,
    Kill,
    KillPrimary,
    KillStore,
    Request,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    finds,
    keeps,
)


class Shopper(SessionUser):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.15)

    def session(self, cart: Client) -> SessionSteps:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


#: A single server, in memory or on disk; a primary in memory with a replica. Stores with agreement are in primary_kill.
ALONE, FOLLOWED = ("memcached", "postgres", "redis"), ("redis_sentinel",)


def scenario(alone: tuple[str, ...], duration: str) -> Scenario:
    """These stores, and the one with a replica."""
    states = (*alone, *FOLLOWED)
    lost = tuple(state for state in states if state != "postgres")
    return Scenario(
        designs=[Design(state, BuiltIn(state=state), Balancing("round_robin")) for state in states],
        replicas=3,
        load=Sessions(concurrent=40, duration=duration, warmup="500ms"),
        faults=[
            At("800ms", Kill(replica=1)),
            At("1s", CutReplication()),
            At("2s", KillStore(), alone),
            At("2s", KillPrimary()),
            At("3s", Heal(KillStore()), alone),
        ],
        expect=[keeps("postgres"), finds(*lost, among=("lost", "rolled_back")), clean_control(*states)],
    )


FULL = scenario(ALONE, "12s")
SCENARIO = Scenario(
    designs=FULL.designs,
    replicas=FULL.replicas,
    load=FULL.load,
    faults=FULL.faults,
    expect=FULL.expect,
    quick=scenario(("postgres", "redis"), "7s"),
)
