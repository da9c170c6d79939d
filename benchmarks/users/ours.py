"""A session that asks again as soon as it is answered; every reply is decoded and judged by its ledger."""

from collections.abc import Generator

from locust import constant

from harness import Client, SessionUser
from harness.load.locustfiles.session_user import Request, Response


class Caller(SessionUser):
    """The shortest behaviour there is."""

    wait_time = constant(0)

    def session(self, service: Client) -> Generator[Request, Response, None]:
        while True:
            yield service.get("/cart")
