"""Every place for the state, through the same four mishaps: what docs/decide.md is made from.

harness run scenarios/places.py

Each place is a design for each of them: a replica is killed, all are redeployed, one is taken out, the store (or the
server that leads it) is killed.
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
)
from harness.recipes import Shopper

N = 3
EVEN, STICKY = Balancing("round_robin"), Balancing("cookie")
#: Waits for a dead replica, as a StatefulSet does: its sessions come back with its volume.
PATIENT = Balancing("cookie", redispatch=False, health=Health(fall=100))

#: name of the place -> where the load goes; the rest of a design is the same for all.
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
    """Every one of these places, to go through this mishap."""
    return tuple(Design(f"{place}_{mishap}", BuiltIn(state=place), PLACES[place]) for place in places)


KILLED, DEPLOYED, SHRUNK = (designs(mishap, tuple(PLACES)) for mishap in ("killed", "deployed", "shrunk"))
STORELESS, LEADERLESS = designs("storeless", LONE), designs("storeless", LED)
ALL = (*KILLED, *DEPLOYED, *SHRUNK, *STORELESS, *LEADERLESS)


def names(group: tuple[Design, ...]) -> tuple[str, ...]:
    """Whom a fault is for."""
    return tuple(design.name for design in group)


# NATS takes four to nine seconds to elect its next leader: its writes are refused until then, and none is lost.
# Redis acknowledges before its replica has a write. Here that replica is behind, as it may be at any time: else chance
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
    expect=[clean_control(*names(ALL))],
)
