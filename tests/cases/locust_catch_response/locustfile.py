"""A plain locustfile: one kind of user marks replies as failed, the other cannot begin."""

from locust import FastHttpUser, HttpUser, between, task


class Reader(HttpUser):
    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        self.client.get("/health", name="on_start")

    @task
    def look(self) -> None:
        with self.client.get("/", catch_response=True, name="look") as reply:
            if "error" in reply.text:
                reply.failure("says error")


class Fast(FastHttpUser):
    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        if not self.client.get("/missing", name="fast on_start").ok:
            raise RuntimeError("cannot begin")

    @task
    def look(self) -> None:
        self.client.get("/", name="fast look")
