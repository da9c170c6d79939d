"""A session that asks again as soon as it is answered; every reply is decoded and judged by its ledger."""

from locust import constant

from harness import Client, SessionSteps, SessionUser


class Caller(SessionUser):
    """The shortest behaviour there is."""

    wait_time = constant(0)

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/cart")
