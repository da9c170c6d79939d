"""Visitors of a counter whose cookie has expired when it arrives, as its date has the zone of New York."""

from harness import Balancing, Command, Design, Scenario, Sessions, keeps
from harness.recipes import SessionCounter


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"


STYLES = ("rfc1123", "javascript")
SCENARIO = Scenario(
    designs=[
        Design(
            style,
            Command("java -XX:TieredStopAtLevel=1 Server.java", ready="/health", env={"STYLE": style}),
            Balancing("cookie"),
        )
        for style in STYLES
    ],
    replicas=2,
    load=Sessions(concurrent=20, duration="4s", warmup="1s"),
    expect=[keeps(*STYLES)],
)
