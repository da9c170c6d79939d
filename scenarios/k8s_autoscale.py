"""Which sessions does a HorizontalPodAutoscaler lose? The load rises and falls, and the number of pods follows it.

Its figures are some ten seconds old, and it removes a pod of its own choice, without draining it. The cluster needs a
metrics API; that of tools/cluster has one.

harness run scenarios/k8s_autoscale.py --backend kubernetes

A finished visit has nothing left to lose, so it is judged by its last read; a visit in progress by the final read.
"""

from typing import Any

from locust import constant

from harness import (
    At,
    Autoscale,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Request,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    Steps,
    clean_control,
    keeps,
    loses_only_the_at_risk,
    parse_tally,
)

#: Visits that begin per second, of four requests each: what one pod does at the target, more than three do, and less.
TIDE = Steps([(15, "30s"), (90, "30s"), (6, "2m")])


class Visitor(SessionUser):
    """Puts three things into a cart and looks at it; then the visit ends."""

    wait_time = constant(2)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._over: dict[int, Any] = {}

    def session(self, cart: Client) -> SessionSteps:
        for _ in range(3):
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
        last = yield cart.get("/cart")
        if last.ok:
            self._over[cart.number] = parse_tally(last)

    def final(self, cart: Client) -> Request:
        if cart.number in self._over:
            return cart.get("/cart", reads=lambda reply, seen=self._over[cart.number]: seen)
        return cart.get("/cart")


SCENARIO = Scenario(
    designs=[
        Design("stateless", BuiltIn(state="token"), Balancing("round_robin"), at_risk="none"),
        Design("sticky", BuiltIn(state="memory"), Balancing("cookie")),
    ],
    replicas=1,
    load=Sessions(rate=TIDE, duration="115s", warmup="1s"),
    faults=[At("1s", Autoscale(at=0.03, least=1, most=3, lasting="110s", cooldown="5s", drain=False))],
    expect=(
        keeps("stateless"),
        loses_only_the_at_risk("sticky"),
        clean_control("stateless", "sticky"),
    ),
)
