"""Locust's HttpUser: sends requests without pauses, and ignores the responses."""

from locust import HttpUser, constant, task


class Caller(HttpUser):
    """Requests the same page repeatedly."""

    wait_time = constant(0)

    @task
    def send_request(self) -> None:
        self.client.get("/cart")
