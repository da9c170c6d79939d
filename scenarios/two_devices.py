"""What happens to a session that two devices write at once? One may overwrite what the other has just written.

harness run scenarios/two_devices.py

Each place runs twice: the last write wins, or (checked) a write that does not start from the latest version is refused.
There is no fault: the two devices alone cause the losses. The token has no checked design: each device has a copy.
"""

from locust import between

from harness import (
    Balancing,
    BuiltIn,
    Client,
    Design,
    Request,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    finds,
)


class Owner(SessionUser):
    """One of two devices that put things into the same cart; a refused write is simply tried again."""

    wait_time = between(0.005, 0.02)
    devices = 2

    def session(self, cart: Client) -> SessionSteps:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


def unchecked(*states: str) -> tuple[Design, ...]:
    """The last write wins."""
    return tuple(Design(state, BuiltIn(state=state), Balancing("round_robin")) for state in states)


def checked(*states: str) -> tuple[Design, ...]:
    """Each write names the version from which it starts."""
    return tuple(
        Design(f"{state}_checked", BuiltIn(state=state, options={"versioned": "yes"}), Balancing("round_robin"))
        for state in states
    )


# Both devices of an owner reach the same replica, whose memory refuses stale writes on its own.
MEMORY = Design("memory", BuiltIn(state="memory"), Balancing("hash_header", key="X-User"))
STATES = ("etcd", "hazelcast", "memcached", "nats", "postgres", "redis", "redis_sentinel")
QUICK = ("memcached", "postgres", "redis")


def scenario(states: tuple[str, ...], duration: str) -> Scenario:
    """These places, checked and unchecked, and memory."""
    return Scenario(
        designs=[MEMORY, *unchecked(*states), *checked(*states)],
        replicas=2,
        load=Sessions(concurrent=24, duration=duration, warmup="500ms"),
        errors_at_most=0.6,  # a write that does not start from the latest version is refused, and tried again
        expect=[
            finds(*states, among=("lost", "rolled_back")),
            clean_control("memory", *(f"{state}_checked" for state in states)),
        ],
    )


FULL = scenario(STATES, "10s")
SCENARIO = Scenario(
    designs=FULL.designs,
    replicas=2,
    load=FULL.load,
    expect=FULL.expect,
    quick=scenario(QUICK, "3s"),
    errors_at_most=FULL.errors_at_most,
)
