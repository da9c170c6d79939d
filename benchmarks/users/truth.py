"""A session that asks whenever it is told to; in closed load, ten milliseconds after each reply."""

from locust import constant

from harness import Client, SessionSteps, SessionUser


class Caller(SessionUser):
    """The shortest behaviour there is."""

    wait_time = constant(0.01)

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/")
