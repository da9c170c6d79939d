"""Visitors who raise a counter and follow its redirect at the head, as a browser does."""

from typing import Any

from harness import Balancing, Command, Design, Scenario, Sessions, keeps
from harness.recipes import SessionCounter


class Visitor(SessionCounter):
    def session(self, client: Any) -> Any:
        while True:
            yield client.post("/count", writes=True, follow="head")

    def final(self, client: Any) -> Any:
        return client.get("/later")  # when the last session is saved, too


SCENARIO = Scenario(
    designs=[Design("late", Command("node server.js", ready="/health"), Balancing(config="haproxy.cfg"))],
    replicas=1,
    load=Sessions(concurrent=20, duration="4s", warmup="1s"),
    expect=[keeps("late")],
)
