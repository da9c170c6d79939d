"""A session that asks whenever it is told to; in closed load, ten milliseconds after each reply."""

from collections.abc import Generator

from locust import constant

from harness import Client, SessionUser
from harness.load.locustfiles.session_user import Request, Response


class Caller(SessionUser):
    """The shortest behaviour there is."""

    wait_time = constant(0.01)

    def session(self, service: Client) -> Generator[Request, Response, None]:
        while True:
            yield service.get("/")
