"""An experiment with little noise, for comparisons of a build with itself: two designs with emulated service times.

``AA_SERVICE_TIME`` slows down the second design, ``AA_BUGS`` sets the faults in the memory of the first.
"""

import os

from locust import constant

from harness import Balancing, BuiltIn, Client, Design, Request, Scenario, Sessions, SessionSteps, SessionUser, keeps


class Shopper(SessionUser):
    """Writes, and reads back what was written, without pauses."""

    wait_time = constant(0)

    def session(self, cart: Client) -> SessionSteps:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


SERVICE_TIME, SLOTS = "20ms", 16
SUBJECT_TIME, BUGS = os.environ.get("AA_SERVICE_TIME", SERVICE_TIME), os.environ.get("AA_BUGS", "drop:0")
PLAIN = Balancing("round_robin")

SCENARIO = Scenario(
    designs=[
        Design(
            "steady", BuiltIn(state="faulty", service_time=SERVICE_TIME, slots=SLOTS, options={"bugs": BUGS}), PLAIN
        ),
        Design("subject", BuiltIn(state="memory", service_time=SUBJECT_TIME, slots=SLOTS), PLAIN),
    ],
    replicas=1,
    load=Sessions(concurrent=8, duration="2s", warmup="500ms"),
    expect=[keeps("steady", "subject")],
)
