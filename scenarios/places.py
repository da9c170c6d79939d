"""Every place for the state, through the same four mishaps: the source of docs/decide.md.

harness run scenarios/places.py

Each place is a separate design for each mishap: a replica is killed, all are redeployed, one is removed, the store (or
the server that leads it) is killed.
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    CutReplication,
    Design,
    Heal,
    Health,
    Kill,
    KillPrimary,
    KillStore,
    Restart,
    RollingDeploy,
    ScaleIn,
    Scenario,
    Sessions,
    clean_control,
    may_lose,
)
from harness.recipes import Shopper

N = 3
EVEN, STICKY = Balancing("round_robin"), Balancing("cookie")
#: Waits for a dead replica, as a StatefulSet does: its sessions come back with its volume.
PATIENT = Balancing("cookie", redispatch=False, health=Health(fall=100))

#: Each place with how its load is balanced; the rest of a design is the same for all.
PLACES = {
    "token": EVEN,
    "memory": STICKY,
    "replicated": STICKY,
    "checkpoint": PATIENT,
    "eventlog": PATIENT,
    "sqlite": PATIENT,
    "memcached": EVEN,
    "redis": EVEN,
    "redis_sentinel": EVEN,
    "postgres": EVEN,
    "etcd": EVEN,
    "nats": EVEN,
    "hazelcast": EVEN,
}
LONE = ("memcached", "redis", "postgres")
LED = ("redis_sentinel", "etcd", "nats", "hazelcast")


class Customer(Shopper):
    """Fills a cart and looks at it."""


def designs(mishap: str, places: tuple[str, ...]) -> tuple[Design, ...]:
    """A design for each of these places, for this mishap."""
    return tuple(Design(f"{place}_{mishap}", BuiltIn(state=place), PLACES[place]) for place in places)


KILLED, DEPLOYED, SHRUNK = (designs(mishap, tuple(PLACES)) for mishap in ("killed", "deployed", "shrunk"))
STORELESS, LEADERLESS = designs("storeless", LONE), designs("storeless", LED)
ALL = (*KILLED, *DEPLOYED, *SHRUNK, *STORELESS, *LEADERLESS)


def names(group: tuple[Design, ...]) -> tuple[str, ...]:
    """The names of the designs that a fault is for."""
    return tuple(design.name for design in group)


# NATS takes four to nine seconds to elect its next leader: it refuses writes until then, and loses none.
# Redis acknowledges a write before its replica has it. Here that replica lags, as it may at any time: otherwise chance
# would decide whether a dead primary loses anything.
SCENARIO = Scenario(
    designs=ALL,
    replicas=N,
    load=Sessions(concurrent=90, duration="5s", warmup="500ms"),
    faults=[
        At("1s", Kill(replica=1), names(KILLED)),
        At("3s", Restart(replica=1), names(KILLED)),
        At("1s", RollingDeploy(drain=True), names(DEPLOYED)),
        At("1s", ScaleIn(to=N - 1, drain=True), names(SHRUNK)),
        At("1s", KillStore(), names(STORELESS)),
        At("3s", Heal(KillStore()), names(STORELESS)),
        At("800ms", CutReplication(), ("redis_sentinel_storeless",)),
        At("1s", KillPrimary(), names(LEADERLESS)),
    ],
    expect=[clean_control(*names(ALL)), may_lose(*names(ALL))],
)
