"""A session that is mostly idle: one request every ten seconds, with a random first time."""

import random

from harness import Client, SessionSteps, SessionUser

REQUEST_INTERVAL_S = 10.0


class Idler(SessionUser):
    """Waits for a random part of ten seconds, then sends a request every ten seconds."""

    timeout = 30.0
    _started = False

    def wait_time(self) -> float:
        if self._started:
            return REQUEST_INTERVAL_S
        self._started = True
        return random.uniform(0, REQUEST_INTERVAL_S)

    def session(self, service: Client) -> SessionSteps:
        while True:
            yield service.get("/")
