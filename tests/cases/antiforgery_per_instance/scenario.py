"""Orders through a form whose token one process of three can check, with the orders themselves in Redis."""

from typing import Any
from urllib.parse import urlencode

from locust import between

from harness import Balancing, Command, Design, Scenario, Sessions, SessionUser, keeps
from harness.oracle.models import counter
from harness.recipes import Json


class Buyer(SessionUser):
    model, wait_time, observe = counter, between(0.05, 0.2), Json("orders")

    def session(self, client: Any) -> Any:
        while True:
            form = yield client.get("/orders")
            if form.ok:
                yield client.post("/orders", data=urlencode({"token": form.json()["token"]}), writes=True)

    def final(self, client: Any) -> Any:
        return client.get("/orders")


SERVICE = Command(
    "gunicorn server:app --threads 4 -b 127.0.0.1:{port}", ready="/health", store="redis", env={"STORE": "{store}"}
)
SCENARIO = Scenario(
    designs=[Design("own_keys", SERVICE, Balancing("round_robin"))],
    load=Sessions(concurrent=20, duration="4s", warmup="1s"),
    expect=[keeps("own_keys")],
)
