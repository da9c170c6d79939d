"""Locust's FastHttpUser: sends requests without pauses, and ignores the responses."""

from locust import FastHttpUser, constant, task


class Caller(FastHttpUser):
    """Requests the same page repeatedly."""

    wait_time = constant(0)

    @task
    def send_request(self) -> None:
        self.client.get("/cart")
