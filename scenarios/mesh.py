"""What does a service mesh add to a request, and what does it save when a replica is killed?

Its data plane is Envoy, with outlier detection and retries. `relay` forwards bytes and knows no HTTP: the cost of a
request without a mesh. `bare` has no retries.

harness run scenarios/mesh.py
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    Kill,
    Restart,
    Scenario,
    Sessions,
    clean_control,
    finds,
    keeps,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""


BARE = Balancing("round_robin", "haproxy", retries=0, redispatch=False)
RING = Balancing("hash_header", "envoy", key="X-User", retries=2)
DESIGNS = (
    Design("relay", BuiltIn(state="redis"), Balancing("connection", "haproxy"), at_risk="none"),
    Design("bare", BuiltIn(state="redis"), BARE, at_risk="none"),
    Design("mesh", BuiltIn(state="redis"), Balancing("round_robin", "envoy", retries=2), at_risk="none"),
    Design("mesh_memory", BuiltIn(state="memory"), RING, at_risk="victim"),
)
EXPECT = (
    keeps("relay", "bare", "mesh"),
    # Not only those at risk: a ring that has lost a member keeps its size, which moves some other sessions too.
    finds("mesh_memory", among=("lost",)),
    clean_control("relay", "bare", "mesh", "mesh_memory"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=120, duration="10s", warmup="1s"),
    faults=[At("3s", Kill(replica=1)), At("7s", Restart(replica=1))],
    expect=EXPECT,
)
