"""What does a cold start cost? The same cart with a process per call, with warm processes, and with a running server.

harness run scenarios/serverless.py
"""

from locust import between

from harness import Balancing, BuiltIn, Design, Scenario, Sessions, clean_control
from harness.recipes import Shopper


class Seldom(Shopper):
    """Fills a cart and looks at it, seldom enough that a process can be started for each call."""

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
