"""Locust's FastHttpUser with the work of the harness: it decodes and judges responses, and records requests."""

import csv
import tempfile
from typing import Any

from locust import FastHttpUser, constant, events, task

_FILE = tempfile.TemporaryFile("w", newline="")  # noqa: SIM115 - open for as long as the process lives
_RECORDS = csv.writer(_FILE)


def record(request_type: str, name: str, response_time: float, start_time: float, exception: Any, **_: Any) -> None:
    """Record when a request was sent, how long it took, and whether it succeeded."""
    _RECORDS.writerow((request_type, name, start_time, response_time, exception is None))


events.request.add_listener(record)  # type: ignore[no-untyped-call] # Locust has no type here


class Caller(FastHttpUser):
    """Sends requests without pauses, and expects its own session, without writes."""

    wait_time = constant(0)
    _birth = ""

    @task
    def send_request(self) -> None:
        with self.client.get("/cart", catch_response=True) as response:
            session = response.json()["session"]
            self._birth = self._birth or session["birth"]
            if session["birth"] != self._birth or session["count"] != 0 or int(session["digest"], 16) != 0:
                response.failure(f"the session has changed: {session}")
