"""Whose sessions does an autoscaler cost? Load steps up and down, and with it the number of replicas.

harness run scenarios/autoscale.py

A visit that is over has nothing to lose: it is judged by what it saw last, one that is under way by the final read.
"""

import time
from collections.abc import Generator

from harness import (
    At,
    Autoscale,
    Balancing,
    Client,
    Design,
    Scenario,
    Sessions,
    SessionUser,
    clean_control,
    keeps,
    loses_only_the_at_risk,
)
from harness.load.session import shown
from harness.load.user import Reply, Request
from harness.oracle.observed import Tally

#: Seconds from the first request of all to the step up, and to the step down; waits in calm and in busy times.
UP, DOWN = 0.7, 3.5
CALM, BUSY = 0.4, 0.06


class Tide:
    """The hour, for all visitors of a process alike: it begins with the first of them."""

    def __init__(self) -> None:
        self._began: float | None = None

    def pause(self) -> float:
        """Seconds between two requests of a visitor now."""
        now = time.monotonic()
        self._began = self._began or now
        return BUSY if UP <= now - self._began < DOWN else CALM


class Visitor(SessionUser):
    """Puts three things into a cart and looks at it; then the visit is over, and another one begins."""

    tide = Tide()

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._over: dict[int, Tally | None] = {}

    def wait_time(self) -> float:
        return self.tide.pause()

    def session(self, cart: Client) -> Generator[Request, Reply, None]:
        for _ in range(3):
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
        last = yield cart.get("/cart")
        if last.ok:
            self._over[cart.number] = shown(last)

    def final(self, cart: Client) -> Request:
        if cart.number in self._over:
            return cart.get("/cart", reads=lambda reply, seen=self._over[cart.number]: seen)
        return cart.get("/cart")


def design(name: str, state: str, policy: str, at_risk: str | None) -> Design:
    """Replicas of two slots of 20 ms: 100 requests a second each, on any machine."""
    return Design(name, state=state, balancing=Balancing(policy), at_risk=at_risk, service_time="20ms", slots=2)


DESIGNS = (
    design("stateless", "token", "round_robin", "none"),
    design("drained", "memory", "cookie", "none"),
    design("sticky", "memory", "cookie", None),
)
EXPECT = (
    keeps("stateless", "drained"),
    loses_only_the_at_risk("sticky"),
    clean_control("stateless", "drained", "sticky"),
)


def scaled(lasting: str) -> tuple[At, ...]:
    """The autoscaler, draining for all but one design."""

    def keeping(drain: bool) -> Autoscale:
        grace = "2500ms" if drain else "0s"
        return Autoscale(at=0.7, least=1, most=3, lasting=lasting, drain=drain, grace=grace)

    return (At("500ms", keeping(True), ("stateless", "drained")), At("500ms", keeping(False), ("sticky",)))


SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=1,
    load=Sessions(concurrent=24, duration="14s", warmup="500ms"),
    faults=scaled("13s"),
    expect=EXPECT,
    quick=Scenario(
        designs=DESIGNS,
        replicas=1,
        load=Sessions(concurrent=24, duration="8s", warmup="500ms"),
        faults=scaled("6500ms"),
        expect=EXPECT,
    ),
)
