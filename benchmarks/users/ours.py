"""A session that sends requests without pauses; its ledger decodes and judges every response."""

from locust import constant

from harness import Client, SessionSteps, SessionUser


class Caller(SessionUser):
    """Requests the same page repeatedly."""

    wait_time = constant(0)

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/cart")
