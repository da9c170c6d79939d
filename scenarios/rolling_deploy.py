"""What does a deploy do to the sessions? Every replica is drained and replaced, one after another.

harness run scenarios/rolling_deploy.py
"""

from harness import (
    At,
    Balancing,
    BuiltIn,
    Design,
    RollingDeploy,
    Scenario,
    Sessions,
    clean_control,
    keeps,
    loses_the_at_risk,
)
from harness.recipes import Shopper


class Customer(Shopper):
    """Fills a cart and looks at it."""


# A replica's memory is lost with it however gently it is stopped: by the end every session was at risk.
DESIGNS = (
    Design("stateless", BuiltIn(state="token"), Balancing("round_robin"), at_risk="none"),
    Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="none"),
    Design("sticky", BuiltIn(state="memory"), Balancing("cookie"), at_risk="victim"),
)
EXPECT = (
    keeps("stateless", "hybrid"),
    loses_the_at_risk("sticky", judged=100),
    clean_control("stateless", "hybrid", "sticky"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="16s", warmup="1s"),
    faults=[At("3s", RollingDeploy(drain=True, grace="1s"))],
    expect=EXPECT,
    quick="8s",
)
