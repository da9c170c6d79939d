"""Which sessions does an autoscaler lose? The load steps up and down, and the number of replicas follows it.

harness run scenarios/autoscale.py
"""

from locust import constant

from harness import (
    At,
    Autoscale,
    Balancing,
    BuiltIn,
    Design,
    Scenario,
    Sessions,
    Steps,
    clean_control,
    keeps,
    loses_only_the_at_risk,
)
from harness.recipes import ShortVisit

#: Visits that begin per second, of four requests each: what one replica can serve, over three times that, and back.
TIDE = Steps([(15, "1s"), (48, "2500ms"), (15, "1m")])


class Visitor(ShortVisit):
    wait_time = constant(0.2)


def design(name: str, state: str, policy: str, at_risk: str | None) -> Design:
    """Replicas with two slots of 20 ms: 100 requests per second each, on any machine."""
    return Design(name, BuiltIn(state=state, service_time="20ms", slots=2), Balancing(policy), at_risk=at_risk)


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
    """The autoscaler; it drains in every design but one."""

    def keeping(drain: bool) -> Autoscale:
        grace = "1500ms" if drain else "0s"
        return Autoscale(at=0.7, least=1, most=3, lasting=lasting, drain=drain, grace=grace)

    return (At("500ms", keeping(True), ("stateless", "drained")), At("500ms", keeping(False), ("sticky",)))


SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=1,
    load=Sessions(rate=TIDE, duration="14s", warmup="500ms"),
    faults=scaled("13s"),
    expect=EXPECT,
    quick=Scenario(
        designs=DESIGNS,
        replicas=1,
        load=Sessions(rate=TIDE, duration="8s", warmup="500ms"),
        faults=scaled("6500ms"),
        expect=EXPECT,
    ),
)
