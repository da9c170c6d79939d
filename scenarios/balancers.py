"""What does each balancer do when a replica is killed under cookie affinity?

Errors, time until rerouted, sessions lost: `python -m benchmarks.rerouted` makes the table in docs/balancers.md.

harness run scenarios/balancers.py
"""

from harness import At, Balancing, BuiltIn, Design, Kill, Restart, Scenario, Sessions, clean_control, loses_the_at_risk
from harness.recipes import Shopper

BALANCERS = ("haproxy", "nginx", "envoy", "traefik", "caddy")


class Customer(Shopper):
    """Fills a cart and looks at it."""


DESIGNS = tuple(
    Design(name, BuiltIn(state="memory"), Balancing("cookie", name), at_risk="victim") for name in BALANCERS
)
EXPECT = (loses_the_at_risk(*BALANCERS, judged=60), clean_control(*BALANCERS))

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="12s", warmup="1s"),
    faults=[At("3s", Kill(replica=1)), At("8s", Restart(replica=1))],
    expect=EXPECT,
)
