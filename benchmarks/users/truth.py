"""A session that sends requests as scheduled; in closed load, ten milliseconds after each response."""

from locust import constant

from harness import Client, SessionSteps, SessionUser


class Caller(SessionUser):
    """Requests the same page repeatedly."""

    wait_time = constant(0.01)

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/")
