"""Visitors of a counter at /en/count, who ask for /count: for writing, reading, and the final read."""

from typing import Any

from harness import Balancing, Command, Design, Scenario, Sessions, keeps
from harness.recipes import SessionCounter


class Visitor(SessionCounter):
    def session(self, client: Any) -> Any:
        while True:
            yield client.post("/count", writes=True, follow=2)
            yield client.get("/count", follow=2)

    def final(self, client: Any) -> Any:
        return client.get("/count", follow=2)


SCENARIO = Scenario(
    designs=[Design("redirects", Command("node server.js", ready="/health"), Balancing("cookie"))],
    replicas=2,
    load=Sessions(concurrent=20, duration="4s", warmup="1s"),
    expect=[keeps("redirects")],
)
