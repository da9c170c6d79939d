"""A session that is mostly idle: one request every ten seconds, each at a moment of its own."""

import random
from collections.abc import Generator

from harness import Client, SessionUser
from harness.load.locustfiles.session_user import Request, Response

EVERY_S = 10.0


class Idler(SessionUser):
    """Waits for a random part of ten seconds, then asks every ten seconds."""

    timeout = 30.0
    _begun = False

    def wait_time(self) -> float:
        if self._begun:
            return EVERY_S
        self._begun = True
        return random.uniform(0, EVERY_S)

    def session(self, service: Client) -> Generator[Request, Response, None]:
        while True:
            yield service.get("/")
