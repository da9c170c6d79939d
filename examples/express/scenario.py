"""An Express service with its memory store and with connect-redis: one of three processes is killed."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, finds, keeps, loses_the_at_risk
from harness.recipes import SessionCounter

MEMORY = Command("node server.js", ready="/health")
REDIS = Command("node server.js", ready="/health", store="redis", env={"REDIS_URL": "{store}"})


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"


SCENARIO = Scenario(
    designs=[
        Design("memory_affinity", MEMORY, Balancing("cookie"), at_risk="victim"),
        Design("memory_spread", MEMORY, Balancing("round_robin")),
        Design("redis", REDIS, Balancing("round_robin"), at_risk="none"),
    ],
    load=Sessions(concurrent=40, duration="4s", warmup="500ms"),
    faults=[At("1500ms", Kill(1)), At("2500ms", Restart(1))],
    expect=[
        loses_the_at_risk("memory_affinity", judged=30),
        finds("memory_spread", among=("lost", "stale")),
        keeps("redis"),
    ],
)
