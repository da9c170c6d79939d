"""Locust's FastHttpUser with the work that ours does: every reply decoded and judged, every request recorded."""

import csv
import tempfile
from typing import Any

from locust import FastHttpUser, constant, events, task

_FILE = tempfile.TemporaryFile("w", newline="")  # noqa: SIM115 - open for as long as the process lives
_RECORDS = csv.writer(_FILE)


def record(request_type: str, name: str, response_time: float, start_time: float, exception: Any, **_: Any) -> None:
    """Keep when it was sent, how long it took and what came of it."""
    _RECORDS.writerow((request_type, name, start_time, response_time, exception is None))


events.request.add_listener(record)  # type: ignore[no-untyped-call] # Locust has no type here


class Caller(FastHttpUser):
    """Asks again as soon as it is answered, and expects the session of its own that nobody has written to."""

    wait_time = constant(0)
    _birth = ""

    @task
    def ask(self) -> None:
        with self.client.get("/cart", catch_response=True) as reply:
            shown = reply.json()["session"]
            self._birth = self._birth or shown["birth"]
            if shown["birth"] != self._birth or shown["count"] != 0 or int(shown["digest"], 16) != 0:
                reply.failure(f"the session is not as it was: {shown}")
