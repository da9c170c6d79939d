"""Buyers whose order is acknowledged by a redirect to a page that is missing for a tenth of a second."""

from typing import Any
from urllib.parse import urlencode

from locust import between

from harness import Balancing, Command, Design, Scenario, Sessions, SessionUser, keeps
from harness.oracle.models import items
from harness.recipes import Json


class Buyer(SessionUser):
    model, wait_time, observe = items, between(0.15, 0.3), Json("items")

    def session(self, client: Any) -> Any:
        for number in range(10):
            item = f"i{number}"
            yield client.post("/items", data=urlencode({"item": item}), writes=item, follow=1)
        while True:
            yield client.get("/items")

    def final(self, client: Any) -> Any:
        return client.get("/items")


SCENARIO = Scenario(
    designs=[Design("lagging", Command("node server.js", ready="/health"), Balancing("cookie"))],
    replicas=2,
    load=Sessions(concurrent=20, duration="5s", warmup="1s"),
    errors_at_most=1.0,
    expect=[keeps("lagging")],
)
