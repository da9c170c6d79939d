"""Visitors of a counter whose cookie ends three seconds after the first visit, with clients that ignore that."""

from harness import Balancing, Command, Design, Scenario, Sessions, keeps
from harness.recipes import SessionCounter


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"
    cookies = "immortal"


SCENARIO = Scenario(
    designs=[Design("not_rolling", Command("node server.js", ready="/health"), Balancing("cookie"))],
    replicas=2,
    load=Sessions(concurrent=20, duration="6s", warmup="1s"),
    expect=[keeps("not_rolling")],
)
