"""A session that is mostly idle: one request every ten seconds, each at a moment of its own."""

import random

from harness import Client, SessionSteps, SessionUser

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

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/")
