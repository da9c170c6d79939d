"""Customers who log in, behind a cache that keeps a stylesheet with the cookie that came with it; and without it."""

from typing import Any

from harness import Balancing, Command, Design, Scenario, Sessions, keeps
from harness.recipes import Login, Text


class Customer(Login):
    who = Text(r"Signed in as (\w+)")

    def visits(self, client: Any) -> Any:
        while True:
            yield client.get("/theme.css", reads=lambda reply: None)
            yield self.visit(client)


STICKY = Balancing("cookie")
SCENARIO = Scenario(
    designs=[
        Design("cached", Command("node server.js", ready="/health", env={"CACHE": "1"}), STICKY),
        Design("plain", Command("node server.js", ready="/health"), STICKY),
    ],
    replicas=2,
    load=Sessions(concurrent=20, duration="5s", warmup="1s"),
    expect=[keeps("cached", "plain")],
)
