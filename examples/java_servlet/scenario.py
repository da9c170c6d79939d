"""Servlet sessions in the memory of Jetty, behind cookie affinity: one of three processes is killed."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, loses_the_at_risk
from harness.recipes import Json, SessionCounter


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"
    observe = Json("count")


SCENARIO = Scenario(
    designs=[
        Design(
            "memory",
            Command("java -cp target/classes:target/lib/* Server {port}", ready="/health", ready_within="60s"),
            Balancing("cookie"),
            at_risk="victim",
        )
    ],
    load=Sessions(concurrent=40, duration="6s", warmup="500ms"),
    faults=[At("2s", Kill(1)), At("3s", Restart(1))],
    expect=[loses_the_at_risk("memory", judged=30)],
)
