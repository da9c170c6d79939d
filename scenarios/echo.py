"""The driver against a service that does nothing: a floor under every latency. Every bench runs it automatically."""

from locust import constant

from harness import Balancing, BuiltIn, Client, Design, Scenario, Sessions, SessionSteps, SessionUser
from harness.oracle.models import stateless


class Caller(SessionUser):
    """Sends the next request as soon as the last is answered; there is no session to judge."""

    wait_time = constant(0)
    model = stateless

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/")


SCENARIO = Scenario(
    designs=[Design("echo", BuiltIn("echo", state="none"), Balancing("round_robin"))],
    replicas=1,
    load=Sessions(concurrent=16, duration="5s", warmup="1s"),
)
