"""What does a rolling restart cost on Kubernetes? Every pod is replaced under load, with and without a preStop.

A pod gets SIGTERM at the same time as its endpoint is removed. Until every node knows that, new connections still go to
a pod that does not listen any more. A preStop lets the pod serve that much longer. Each request has a connection of its
own, so that the Service chooses a pod each time.

harness run scenarios/k8s_rolling.py --backend kubernetes
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Request,
    RollingRestart,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    Termination,
    clean_control,
    errors_below,
    keeps,
    loses_the_at_risk,
)

ALONE = {"Connection": "close"}


class Customer(SessionUser):
    """Fills a cart and looks at it."""

    wait_time = between(0.05, 0.2)

    def session(self, cart: Client) -> SessionSteps:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea", headers=ALONE)
            yield cart.get("/cart", headers=ALONE)

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


SPREAD = Balancing("connection", name="service")
PINNED = Balancing("source", name="service")  # sessionAffinity: ClientIP; the load has one address, so one pod gets all
GENTLE = Termination(grace="30s", pre_stop="3s")

SCENARIO = Scenario(
    designs=[
        Design("token", BuiltIn(state="token"), SPREAD, at_risk="none"),
        Design("token_pre_stop", BuiltIn(state="token"), SPREAD, at_risk="none", termination=GENTLE),
        Design("redis", BuiltIn(state="redis"), SPREAD, at_risk="none"),
        Design("redis_pre_stop", BuiltIn(state="redis"), SPREAD, at_risk="none", termination=GENTLE),
        Design("memory", BuiltIn(state="memory"), PINNED, at_risk="victim"),
        Design("memory_pre_stop", BuiltIn(state="memory"), PINNED, at_risk="victim", termination=GENTLE),
    ],
    replicas=2,
    load=Sessions(concurrent=40, duration="30s", warmup="1s"),
    faults=[At("3s", RollingRestart())],
    expect=(
        keeps("token", "token_pre_stop", "redis", "redis_pre_stop"),
        loses_the_at_risk("memory", "memory_pre_stop", judged=30),
        errors_below(0.0001, "token_pre_stop", "redis_pre_stop"),
        clean_control("token", "token_pre_stop", "redis", "redis_pre_stop", "memory", "memory_pre_stop"),
    ),
    quick="20s",
)
