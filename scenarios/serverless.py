"""What does a cold start cost? The same cart by a process for every call, by processes kept warm, and by one that runs.

harness run scenarios/serverless.py
"""

from locust import between

from harness import Balancing, BuiltIn, Design, Scenario, Sessions, clean_control
from harness.recipes import Shopper


class Seldom(Shopper):
    """Fills a cart and looks at it, seldom enough that processes can be started for it."""

    wait_time = between(0.4, 0.8)


EVEN = Balancing("round_robin")
DESIGNS = (
    Design("cold", BuiltIn("function", state="token", options={"warm": "0"}), EVEN, at_risk="none"),
    Design("warm", BuiltIn("function", state="token", options={"warm": "4"}), EVEN, at_risk="none"),
    Design("running", BuiltIn("cart", state="token"), EVEN, at_risk="none"),
)
EXPECT = (clean_control("cold", "warm", "running"),)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=2,
    load=Sessions(concurrent=3, duration="20s", warmup="4s"),
    expect=EXPECT,
    quick="12s",
)
