"""Locust's FastHttpUser: asks again as soon as it is answered; the reply is not looked at."""

from locust import FastHttpUser, constant, task


class Caller(FastHttpUser):
    """The shortest behaviour there is."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        self.client.get("/cart")
