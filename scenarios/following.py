"""Which affinity follows an id that the service makes itself, and which only seems to?

The balancer learns the id from the reply, or puts the replica's name into it: only the sessions of a killed replica are
lost. A hash of the id points elsewhere than to the replica that made it, and stickiness that ends sends a session away:
both lose sessions without any fault.

harness run scenarios/following.py
"""

from harness import At, Balancing, BuiltIn, Design, Kill, Restart, Scenario, Sessions, finds, loses_only_the_at_risk
from harness.recipes import Shopper

MEMORY = BuiltIn(state="memory")
FOLLOWING = {
    "learned_haproxy": Balancing("learn_cookie", "haproxy"),
    "learned_nginx": Balancing("learn_cookie", "nginx"),
    "prefix": Balancing("cookie_prefix", "haproxy"),
}
ASTRAY = {
    "hashed": Balancing("hash_cookie", "haproxy"),
    "ends": Balancing("cookie", "haproxy", lasts="3s"),
}


class Customer(Shopper):
    """Fills a cart and looks at it; its id is in the cookie ``session``, which the service sets."""


SCENARIO = Scenario(
    designs=[
        *(Design(name, MEMORY, balancing, at_risk="victim") for name, balancing in FOLLOWING.items()),
        *(Design(name, MEMORY, balancing) for name, balancing in ASTRAY.items()),
    ],
    replicas=3,
    load=Sessions(concurrent=60, duration="8s", warmup="1s"),
    faults=[At("4s", Kill(replica=1)), At("6s", Restart(replica=1))],
    expect=[loses_only_the_at_risk(*FOLLOWING, judged=30), finds(*ASTRAY, among=["lost", "stale", "rolled_back"])],
)
