"""Does goodput return once its trigger is gone? Not if retries fill the service with work that no client awaits.

harness run scenarios/retry_storm.py
"""

from locust import constant

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Pause,
    Resume,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    recovers,
    stays_down,
)
from harness.oracle.models import stateless

ATTEMPTS = 4
RATE = 70.0  # sessions per second: one request each, and up to three retries


class Stubborn(SessionUser):
    """Wants one reply: waits a third of a second for it and tries again at once, four times in all."""

    wait_time = constant(0)
    timeout = 0.3
    model = stateless

    def session(self, service: Client) -> SessionSteps:
        for _ in range(ATTEMPTS):
            reply = yield service.get("/")
            if reply.ok:
                return


# Both can serve 70 requests per second, but only one the 280 that arrive when every request is tried four times. Two
# replicas emulate 20 ms per request, one or four at a time: 100 requests per second in all, or 400.
TIGHT = Design("tight", BuiltIn("echo", state="none", service_time="20ms", slots=1), Balancing("round_robin"))
ROOMY = Design("roomy", BuiltIn("echo", state="none", service_time="20ms", slots=4), Balancing("round_robin"))
EXPECT = (stays_down("tight"), recovers("roomy"))

SCENARIO = Scenario(
    designs=[TIGHT, ROOMY],
    replicas=2,
    load=Sessions(rate=RATE, duration="20s", warmup="1s", arrivals="constant"),
    faults=[At("5s", Pause(0)), At("8s", Resume(0))],
    expect=EXPECT,
    quick="12s",
)
