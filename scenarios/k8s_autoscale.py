"""Which sessions does a HorizontalPodAutoscaler lose? The load rises and falls, and the number of pods follows it.

Its figures are some ten seconds old, and it removes a pod of its own choice, without draining it. The cluster needs a
metrics API; that of tools/cluster has one.

harness run scenarios/k8s_autoscale.py --backend kubernetes
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

#: Visits that begin per second, of four requests each: what one pod does at the target, more than three do, and less.
TIDE = Steps([(15, "30s"), (90, "30s"), (6, "2m")])


class Visitor(ShortVisit):
    wait_time = constant(2)


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
