"""Locust's HttpUser: asks again as soon as it is answered; the reply is not looked at."""

from locust import HttpUser, constant, task


class Caller(HttpUser):
    """The shortest behaviour there is."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        self.client.get("/cart")
